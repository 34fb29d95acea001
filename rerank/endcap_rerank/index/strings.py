"""A memory-mapped list of strings that also finds a string's position.

Opening it creates no Python object a string: the texts lie in one blob with offsets, and a text is
found by binary search in the sorted array of its 64-bit hashes.
"""

from __future__ import annotations

import mmap
import sys
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from hashlib import blake2b
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from endcap_rerank.index.arrays import open_array, open_blob, save_array

REMEMBERED = 8192
"""Texts of which a table keeps the positions that were found: 120 bytes each beside the text itself."""


def fold(text: str) -> str:
    """The form in which names are compared: case-folded, outer and repeated white space removed."""
    return " ".join(text.casefold().split())


def write_strings(
    directory: Path, name: str, texts: Iterable[str], *, keys: Sequence[str] | None = None
) -> None:
    """Write ``texts`` as table ``name``.

    Args:
        keys: the form by which each text is found (for example folded). Without keys the table can be
            read by position only.
    """
    lengths: list[int] = []
    with (directory / f"{name}.bin").open("wb") as blob:
        lengths.extend(blob.write(text.encode("utf-8", "surrogatepass")) for text in texts)
    offsets = np.zeros(len(lengths) + 1, np.int64)
    np.cumsum(lengths, out=offsets[1:])
    save_array(directory, f"{name}.offsets", offsets)
    if keys is not None:
        digests = b"".join(_digest(key) for key in keys)
        hashes = np.frombuffer(digests, np.uint64)
        order = np.argsort(hashes, kind="stable")
        save_array(directory, f"{name}.hashes", hashes[order])
        save_array(directory, f"{name}.order", order.astype(np.int32))


class StringTable:
    """A table that :func:`write_strings` wrote.

    Args:
        folded: its keys are ``fold(text)``; otherwise they are the texts themselves.
    """

    def __init__(self, directory: Path, name: str, *, findable: bool = True, folded: bool = False) -> None:
        self._blob: mmap.mmap | bytes = open_blob(directory / f"{name}.bin")
        self._offsets = open_array(directory, f"{name}.offsets")
        self._folded = folded
        hashes: Any = np.zeros(0, np.uint64)
        self._order: NDArray[Any] = np.zeros(0, np.int32)
        if findable:
            hashes = open_array(directory, f"{name}.hashes")
            self._order = open_array(directory, f"{name}.order")
        self._hashes = memoryview(hashes)
        self._found: dict[str, int] = {}

    def __len__(self) -> int:
        return len(self._offsets) - 1

    def __getitem__(self, position: int) -> str:
        start, end = self._offsets[position : position + 2].tolist()
        return self._blob[start:end].decode("utf-8", "surrogatepass")

    def __iter__(self) -> Iterator[str]:
        bounds = self._offsets.tolist()
        for start, end in pairwise(bounds):
            yield self._blob[start:end].decode("utf-8", "surrogatepass")

    def take(self, positions: NDArray[np.int64]) -> list[str]:
        """The texts at ``positions`` [n], each in ``0 … len-1``."""
        starts = self._offsets[positions].tolist()
        ends = self._offsets[positions + 1].tolist()
        blob = self._blob
        return [
            blob[start:end].decode("utf-8", "surrogatepass") for start, end in zip(starts, ends, strict=True)
        ]

    def find(self, text: str) -> int:
        """Position of ``text`` (compared as the table's keys are), or -1; what was found is kept."""
        position = self._found.get(text)
        if position is None:
            if len(self._found) >= REMEMBERED:
                self._found.clear()
            position = self._found[text] = self._search(text)
        return position

    def _search(self, text: str) -> int:
        key = fold(text) if self._folded else text
        hashes, wanted = self._hashes, int.from_bytes(_digest(key), sys.byteorder)
        at = bisect_left(hashes, wanted)  # of one number sooner than numpy's
        while at < len(hashes) and hashes[at] == wanted:
            position = int(self._order[at])
            found = self[position]
            if (fold(found) if self._folded else found) == key:
                return position
            at += 1  # two texts of one hash lie side by side
        return -1


def _digest(key: str) -> bytes:
    return blake2b(key.encode("utf-8", "surrogatepass"), digest_size=8).digest()
