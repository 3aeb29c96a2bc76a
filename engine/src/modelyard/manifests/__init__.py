"""Kubernetes objects as values: custom resources, the installation, a service as a ModelService. Pure.

Never here: asking a cluster anything. May import `spec`, `kube.names` and `api`.
"""
