"""Values of a call as the arrays of a request; an error names the field."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from endcap_client.errors import InvalidRequest

Array = NDArray[Any]

_INT32 = 2**31
_RELEASE = re.compile(r"[A-Za-z0-9._-]{1,64}\Z")


def release_id(value: str | None) -> str:
    """A release's id; None is the empty one."""
    if value is None:
        return ""
    check_text("release", value)
    if not _RELEASE.match(value):
        raise InvalidRequest(f"release: got {value!r:.80}; the id of a release is expected", "release")
    return value


def check_text(field: str, value: object) -> None:
    """Refuse what is no str."""
    if not isinstance(value, str):
        raise TypeError(f"{field}: a str is expected, got {type(value).__name__}")


def texts(field: str, values: Iterable[object]) -> Array:
    """Texts as UTF-8 in an object array [rows, 1]."""
    encoded = []
    for value in values:
        if not isinstance(value, str):
            raise TypeError(f"{field}: a str is expected, got {type(value).__name__}")
        try:
            encoded.append(value.encode())
        except UnicodeEncodeError as error:
            raise InvalidRequest(
                f"{field}: got {value!r:.80}; Unicode text is expected ({error})", field
            ) from None
    return objects(encoded)


def objects(values: list[bytes]) -> Array:
    """Bytes as an object array [rows, 1]."""
    array = np.empty((len(values), 1), np.object_)
    array[:, 0] = values
    return array


def integer(field: str, value: object) -> int:
    """A 32-bit integer."""
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)):
        raise TypeError(f"{field}: an int is expected, got {type(value).__name__}")
    if not -_INT32 <= value < _INT32:
        raise InvalidRequest(f"{field}: got {value}; a 32-bit integer is expected", field)
    return int(value)


def number(field: str, value: object) -> float:
    """A float."""
    if isinstance(value, bool) or not isinstance(value, (int, float, np.integer, np.floating)):
        raise TypeError(f"{field}: a number is expected, got {type(value).__name__}")
    return float(value)
