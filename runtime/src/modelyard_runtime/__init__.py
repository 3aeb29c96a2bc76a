"""The scoring runtime: what runs inside a replica.

`contract` is all the engine imports. The rest needs the extra `serve`.
"""

__version__ = "0.1.0"
