"""Logging in to a registry: what it asks for, who we are, and the tokens in between.

Here live the challenge (`challenges`), the token protocol (`tokens`), the places where credentials are kept
(`credentials`, `helpers`, `clouds` with `signing`, found by `sources`) and what ties them together (`login`).
Nothing here opens a connection: `login` and `sources` are handed a way to send. Secrets travel as `Secret`.
"""
