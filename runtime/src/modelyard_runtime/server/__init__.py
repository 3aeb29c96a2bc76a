"""The replica's front: one ASGI application on pyvoy (Envoy with Python inside).

What lives here: routing, HTTP and gRPC framing, admission, health, and `launch`, by which a parent starts
that Envoy. Never model code, which runs on the threads of `scoring`, and no tensor arithmetic.
This room may import `scoring`, `oip`, `contract`, `pairing` and `local_http`.
"""
