"""The router: Envoy, told what to do over xDS and kept alive by a parent of its own.

States become resources in pure functions; the control plane serves them and hears load; the parent
(`python -m modelyard.router`) starts, drains and restarts Envoy. Decides nothing about replicas or
keys. Envoy's protobuf and gRPC stay inside `protos`. May import `processes`, `telemetry`, `api` and
the runtime's contract.
"""
