"""Seeded damage to valid messages: what a broken or hostile client could send. Pure."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence

_VARINTS = (
    b"\x00",
    b"\x7f",
    b"\xff\xff\xff\xff\x07",
    b"\xff" * 9 + b"\x01",
    b"\x80" * 10 + b"\x01",
    b"\xff" * 12,
)
"""Lengths and numbers at the borders of what protobuf can say, and past them."""
_JSON_PIECES = (
    *("{", "}", "[", "]", '"', ":", ",", "null", "NaN", "-Infinity", "1e999", "-0", "0x1", "01", "9" * 400),
    *(
        '"\\ud800"',
        '"\\u0000"',
        "[" * 300,
        '{"a":' * 300,
        "true",
        '""',
        "-1",
        "2147483648",
        "9223372036854775808",
    ),
)


def damaged(seeds: Sequence[bytes], *, seed: int, count: int) -> Iterator[bytes]:
    """Yield `count` broken variants of binary messages, always the same for one `seed`."""
    dice = random.Random(seed)  # noqa: S311  # repeatable, not secret
    for _ in range(count):
        yield _damaged(dice, bytearray(dice.choice(seeds)), seeds)


def damaged_text(seeds: Sequence[str], *, seed: int, count: int) -> Iterator[bytes]:
    """Yield `count` broken variants of JSON texts; some are no UTF-8 any more."""
    dice = random.Random(seed)  # noqa: S311  # repeatable, not secret
    for _ in range(count):
        text = dice.choice(seeds)
        for _ in range(dice.randint(1, 4)):
            at = dice.randint(0, len(text))
            text = (
                text[:at] + dice.choice((*_JSON_PIECES, "")) + text[at + dice.choice((0, 0, 1, 1, 5, 50)) :]
            )
        raw = text.encode()
        yield _damaged(dice, bytearray(raw), [raw]) if dice.random() < 0.2 else raw


def _damaged(dice: random.Random, data: bytearray, seeds: Sequence[bytes]) -> bytes:
    for _ in range(dice.choice((1, 1, 2, 3, 8))):
        at, other = dice.randint(0, len(data)), dice.randint(0, len(data))
        match dice.randrange(7):
            case 0 if data:
                data[at % len(data)] ^= 1 << dice.randrange(8)
            case 1:
                del data[at:]
            case 2:
                data[at:at] = dice.randbytes(dice.randint(1, 12))
            case 3:
                del data[min(at, other) : max(at, other)]
            case 4:
                data[at:at] = data[min(at, other) : max(at, other)]
            case 5:
                data[at : at + 1] = dice.choice(_VARINTS)
            case _:
                data[at:at] = dice.choice(seeds)[:64]
    return bytes(data)
