"""Messages of gRPC itself: status details, health, reflection, as protobuf made Python of them.

What lives here: three `.proto` files written from the public formats and what was generated from them.
Their packages have names of our own, because the user's script may import Google's in the same process.
This room imports protobuf alone.
"""
