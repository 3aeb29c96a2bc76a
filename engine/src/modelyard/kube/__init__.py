"""Kubernetes: the one room that speaks to an API server.

Lives here: connecting, reading and writing objects, following them, logs, leases. Objects cross its border as
plain JSON mappings. Never here: what the objects mean. May import `api`.
"""
