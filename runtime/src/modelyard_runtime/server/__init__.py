"""The replica's front: one ASGI application on pyvoy (Envoy with Python inside).

What lives here: routing, HTTP and gRPC framing, admission, health, and `launch`, the program that turns
itself into that Envoy. Never model code, which runs on the threads of `scoring`, and no tensor arithmetic.
This room may import `scoring`, `oip`, `contract`, `pairing` and `replica.libpython`.
"""
