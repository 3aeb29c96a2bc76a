"""Which request paths are UTF-8 once their percent escapes are read, as one regular expression for RE2. Pure.

pyvoy drops a request whose path is not, without an answer; so such a path must not reach it.
"""

from __future__ import annotations

_HEX = "[0-9A-Fa-f]"
_TAIL = "%[89ABab]" + _HEX
"""A byte from 80 to BF."""
_CHARACTERS = (
    f"%[0-7]{_HEX}",
    f"%(?:[Cc][2-9A-Fa-f]|[Dd]{_HEX}){_TAIL}",
    f"%[Ee]0%[ABab]{_HEX}{_TAIL}",
    f"%[Ee](?:[1-9ABCEFabcef](?:{_TAIL})|[Dd]%[89]{_HEX}){_TAIL}",
    f"%[Ff]0%(?:9{_HEX}|[ABab]{_HEX}){_TAIL}{_TAIL}",
    f"%[Ff][1-3]{_TAIL}{_TAIL}{_TAIL}",
    f"%[Ff]4%8{_HEX}{_TAIL}{_TAIL}",
)
"""Table 3-7 of the Unicode standard: neither overlong forms, nor surrogates, nor what lies over 10FFFF."""
_LONE = f"%{_HEX}?"
"""A percent sign that two hexadecimal digits do not follow stands for itself."""
_NO_ESCAPE = f"{_LONE}[!-$&-/:-@G-`g-~]"

UTF8_PATH = f"(?:[!-$&-~]|(?:{_LONE})*(?:{'|'.join((*_CHARACTERS, _NO_ESCAPE))}))*(?:{_LONE})*"
"""Matches such a path as a whole; without its query, which is handed on as bytes, whatever it holds.

Bytes over 7F must be escaped, as RFC 3986 says; over HTTP/1.1 Envoy refuses them itself.
"""
