"""The engine's own plugin: the process and docker targets, the busy scaler, the checks behind `engine doctor`.

It comes in through the entry point like a stranger's and is listed as `builtin`.
Never here: what other plugins could not do through the same hooks. May import api, hookspecs and the
rooms whose records it offers: targets, control, environments, router, spec, processes, containers.
"""
