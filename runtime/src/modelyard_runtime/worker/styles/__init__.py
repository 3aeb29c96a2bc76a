"""The ways a script can be asked: each reads requests for `run()` or `infer()` in its own manner.

What lives here: one module a style. Never loading, never transport. May import the rest of the worker
except `script`, `batches` and the worker's own program.
"""
