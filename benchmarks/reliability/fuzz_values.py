"""Values that a careless or a hostile caller may send."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from typing import Any

_ALPHABETS = (
    "abcdefghijklmnopqrstuvwxyz ",
    "红色连衣裙手机壳蓝牙耳机",
    "😀🛒👨‍👩‍👧🏽‍♀️",
    "\u202e\u200b\u0301\ufeff\u2028",
    "\x00\x01\x1b\x7f\r\n\t",
    "'\"\\;--<>%${}[]()/*",
    "٠١٢٣٤٥٦٧٨٩ªº½",
    "ﷺ𝕊ǅßİıΩ",
)
_WORDS = ("red dress", "drill", "null", "NaN", "../../etc/passwd", "' OR 1=1 --", "{{7*7}}", "%s%n", "")
NUMBERS: tuple[float | int, ...] = (
    0, 1, -1, 10, 200, 201, 2**31 - 1, -(2**31), 2**63 - 1, 2**64, 10**40, 0.0, -0.0, 0.5, 1.0, 1e-320,
    3.5e38, 1e308, float("nan"), float("inf"), float("-inf"),
)  # fmt: skip
_KEYS = (
    "filters", "pin", "bury", "exclude", "boost", "recent", "refused", "shown", "caps", "algorithm",
    "explore", "calibrate", "adapt_diversity", "fields", "explain", "language", "personalize", "understand",
    "price_min", "price_max", "brand", "category", "in_stock", "attributes", "limit", "window", "id",
    "title", "price", "",
)  # fmt: skip


def text(rng: random.Random, *, longest: int = 40) -> str:
    """Letters of many kinds; now and then very many."""
    if rng.random() < 0.3:
        return rng.choice(_WORDS)
    length = rng.randrange(longest) if rng.random() < 0.97 else rng.choice((511, 512, 513, 5_000, 70_000))
    alphabet = rng.choice(_ALPHABETS)
    return "".join(rng.choice(alphabet) for _ in range(length))


def raw(rng: random.Random) -> bytes:
    """Bytes, mostly no UTF-8."""
    kind = rng.randrange(4)
    if kind == 0:
        return rng.randbytes(rng.randrange(80))
    if kind == 1:
        return b"\xed\xa0\x80" + text(rng).encode()  # half of a surrogate pair
    if kind == 2:
        return text(rng).encode("utf-16")
    return text(rng).encode()


def value(rng: random.Random, depth: int = 0) -> Any:
    """Anything that JSON can say."""
    kind = rng.randrange(7 if depth < 3 else 4)
    if kind == 0:
        return rng.choice(NUMBERS)
    if kind == 1:
        return text(rng)
    if kind == 2:
        return rng.choice((None, True, False))
    if kind == 3:
        return rng.choice(("dpp", "mmr", "en", "zh", "title", "brand"))
    if kind == 4:
        return [value(rng, depth + 1) for _ in range(rng.randrange(5))]
    return {rng.choice(_KEYS): value(rng, depth + 1) for _ in range(rng.randrange(5))}


def document(rng: random.Random) -> str:
    """A JSON document, or what is nearly one."""
    kind = rng.randrange(10)
    if kind == 0:
        return text(rng)
    if kind == 1:
        return "[" * rng.choice((10, 5_000)) + "]" * 10
    if kind == 2:
        return '{"filters": {"price_min": 1, "price_min": ' + json.dumps(value(rng))
    found = json.dumps(
        value(rng) if kind < 6 else {rng.choice(_KEYS): value(rng)}, ensure_ascii=rng.random() < 0.5
    )
    return found[: rng.randrange(1, len(found) + 1)] if kind == 3 else found


def product(rng: random.Random) -> dict[str, Any]:
    """A product; its brand is none that a shop sells, its id none that a shop has."""
    fields: dict[str, Any] = {
        "id": f"fuzz-{rng.randrange(500)}",
        "title": text(rng) or "thing",
        "brand": f"fuzz {rng.randrange(9)}",
    }
    for name in (
        "price",
        "currency",
        "in_stock",
        "rating",
        "review_count",
        "attributes",
        "created_at",
        "description",
    ):
        if rng.random() < 0.3:
            fields[name] = value(rng)
    return fields


def shape(rng: random.Random) -> list[int]:
    """Dims that may not fit."""
    return list(
        rng.choice(
            (
                (1, 1), (1, 1), (2, 1), (1,), (), (0,), (0, 1), (1, 0), (1, 2), (1, 1, 1), (33, 1), (32, 1),
                (-1, 1), (1, -5), (2**31, 1), (1, 2**35), (1, 2**62), (2**62, 1), (0, 2**62), (2**62, 2**62),
            )
        )
    )  # fmt: skip


def mutated(rng: random.Random, content: bytes) -> bytes:
    """Some bytes changed, left out, doubled or cut off."""
    changed = bytearray(content)
    for _ in range(rng.randrange(1, 6)):
        if not changed:
            break
        place = rng.randrange(len(changed))
        kind = rng.randrange(4)
        if kind == 0:
            changed[place] = rng.randrange(256)
        elif kind == 1:
            del changed[place : place + rng.randrange(1, 9)]
        elif kind == 2:
            changed[place:place] = changed[place : place + rng.randrange(1, 30)]
        else:
            del changed[place:]
    return bytes(changed)


def some(rng: random.Random, values: Sequence[Any]) -> list[Any]:
    """A few of them, with repetitions."""
    return [rng.choice(values) for _ in range(rng.randrange(4))]
