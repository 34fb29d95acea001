"""Values of the ``options`` document, each checked; an error names the option by its path."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from endcap_rerank.errors import InvalidInputError
from endcap_rerank.schema import MAX_ID_CHARS


def no_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A decoded object, for ``object_pairs_hook``; a name that stands twice is an error."""
    found: dict[str, Any] = {}
    for name, value in pairs:
        if name in found:
            raise InvalidInputError(f"options: {name}", value, "the name may stand only once in an object")
        found[name] = value
    return found


def json_object(path: str, value: object, known: Mapping[str, Any]) -> Mapping[str, Any]:
    """An object that has no names but ``known`` ones."""
    if not isinstance(value, Mapping):
        raise InvalidInputError(path, value, "a JSON object is expected")
    for name in value:
        if name not in known:
            raise InvalidInputError(f"{path}.{name}", value[name], f"known names are {', '.join(known)}")
    return value


def boolean(path: str, value: object) -> bool:
    """True or false, and nothing that counts as such."""
    if not isinstance(value, bool):
        raise InvalidInputError(path, value, "true or false is expected")
    return value


def number(path: str, value: object, low: float, high: float = math.inf) -> float:
    """A finite number within limits."""
    expected = (
        f"a number of at least {low:g} is expected"
        if high == math.inf
        else f"a number from {low:g} to {high:g} is expected"
    )
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise InvalidInputError(path, value, expected)
    try:
        number = float(value)
    except OverflowError:
        raise InvalidInputError(path, value, expected) from None
    if not math.isfinite(number) or not low <= number <= high:
        raise InvalidInputError(path, value, expected)
    return number


def texts(path: str, value: object) -> tuple[str, ...]:
    """A list of texts without repetition; one text stands for a list of one."""
    if isinstance(value, str):
        value = [value]
    if not isinstance(value, list):
        raise InvalidInputError(path, value, "a list of texts is expected")
    for position, text in enumerate(value):
        if not isinstance(text, str) or not text.strip():
            raise InvalidInputError(f"{path}[{position}]", text, "a non-empty text is expected")
        if len(text) > MAX_ID_CHARS:
            raise InvalidInputError(
                f"{path}[{position}]", text, f"at most {MAX_ID_CHARS} characters are allowed"
            )
    return tuple(dict.fromkeys(value))


def count(path: str, value: object, low: int, high: int | None = None) -> int:
    """A whole number within limits."""
    if isinstance(value, bool) or not isinstance(value, int) or value < low or (high and value > high):
        expected = f"an integer of at least {low}" if high is None else f"an integer from {low} to {high}"
        raise InvalidInputError(path, value, f"{expected} is expected")
    return value


def one_of(path: str, value: object, allowed: tuple[str, ...]) -> str:
    """One of a few texts."""
    if not isinstance(value, str) or value not in allowed:
        raise InvalidInputError(path, value, f"one of {', '.join(allowed)} is expected")
    return value
