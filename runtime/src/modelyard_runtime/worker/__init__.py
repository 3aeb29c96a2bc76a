"""The worker: the user's entry script, loaded, asked and answered, in whichever process it runs.

What lives here: the entry-script contract (v1's and ours), alias modules of v1's packages, JSON rules,
and the program of a worker process. Standard library only and Python 3.8 syntax, relative imports alone:
with `isolation: process` this folder runs under the user's own interpreter, without the runtime's packages.
This room imports nothing of modelyard_runtime.
"""
