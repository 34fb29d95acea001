"""The words of a catalogue, found by prefix or by what is left of them when letters are lost.

Two words within distance d share what remains after at most d deletions in each (Garbe, SymSpell, 2012;
Bocek et al., "Fast Similarity Search in Large Dictionaries", 2007). So every word is filed under the
hashes of its first letters with up to d of them left out; a query word is looked up under its own. Hashes
meet by chance too, and only some of the words that meet are near: the distance is then computed.
"""

from __future__ import annotations

from array import array
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from zlib import crc32

import numpy as np
from rapidfuzz.distance import OSA

from endcap_rerank.index.arrays import open_array, save_array
from endcap_rerank.index.strings import StringTable, write_strings

SHORTEST = 4
"""Letters from which a word is taken for a misspelling of another one."""
LONG = 8
"""Letters from which two mistakes are allowed."""
_FIRST_LETTERS = 7
"""Letters that are filed; more cost space and find no more."""
_TWO_LOST = LONG - 2
"""Letters from which a word is filed with two of them left out."""


@dataclass(frozen=True)
class Near:
    """A word of the catalogue near to another one.

    Attributes:
        distance: insertions, deletions, substitutions and swaps of neighbours between the two.
        frequency: how many products have it.
    """

    word: str
    distance: int
    frequency: int


def write_spelling(directory: Path, words: Mapping[str, int]) -> None:
    """Write what :class:`Spelling` reads.

    Args:
        words: as products write them, case-folded, with the number of products that have each.
    """
    names = sorted(words)
    hashes, owners = array("I"), array("I")
    for number, word in enumerate(names):
        if len(word) >= SHORTEST - 1 and word.isalpha():
            for remains in _remains(word, 2 if len(word) >= _TWO_LOST else 1):
                hashes.append(remains)
                owners.append(number)
    filed = np.frombuffer(hashes, np.uint32) if hashes else np.zeros(0, np.uint32)
    order = np.argsort(filed, kind="stable")
    write_strings(directory, "words", names)
    save_array(directory, "words.frequencies", np.array([words[name] for name in names], np.int32))
    save_array(directory, "words.remains", filed[order])
    numbers = np.frombuffer(owners, np.uint32) if owners else np.zeros(0, np.uint32)
    save_array(directory, "words.owners", numbers[order].astype(np.int32))


class Spelling:
    """The words of a release's base catalogue, memory-mapped."""

    def __init__(self, directory: Path) -> None:
        self._words = StringTable(directory, "words", findable=False)
        self._frequencies = open_array(directory, "words.frequencies")
        self._remains = open_array(directory, "words.remains")
        self._owners = open_array(directory, "words.owners")

    @classmethod
    def open(cls, directory: Path) -> Spelling | None:
        """Map the words; None where the index was built before there were any.

        Raises:
            ReleaseError: they are damaged.
        """
        return cls(directory) if (directory / "words.bin").is_file() else None

    def near(self, word: str) -> list[Near]:
        """Words within distance 1 of ``word``, 2 where it is long, nearest and most frequent first.

        Args:
            word: case-folded letters; of fewer than SHORTEST nothing is near.
        """
        if len(word) < SHORTEST:
            return []
        allowed = 2 if len(word) >= LONG else 1
        wanted = np.fromiter(_remains(word, allowed), np.uint32)
        starts = self._remains.searchsorted(wanted, "left").tolist()
        ends = self._remains.searchsorted(wanted, "right").tolist()
        numbers: set[int] = set()
        for start, end in zip(starts, ends, strict=True):
            if end > start:
                numbers.update(self._owners[start:end].tolist())
        found = []
        rows = np.fromiter(numbers, np.int64, len(numbers))
        for number, name in zip(rows.tolist(), self._words.take(rows), strict=True):
            distance = OSA.distance(word, name, score_cutoff=allowed)
            if 0 < distance <= allowed:
                found.append(Near(name, distance, int(self._frequencies[number])))
        return sorted(found, key=lambda one: (one.distance, -one.frequency, one.word))

    def beginning(self, prefix: str, count: int) -> list[Near]:
        """The ``count`` most frequent words that begin with ``prefix`` and are longer; distance 0."""
        start, end = self._place(prefix), self._place(prefix + "\U0010ffff")
        if start < end and self._words[start] == prefix:
            start += 1
        frequencies = self._frequencies[start:end]
        if len(frequencies) > count:
            top = np.argpartition(frequencies, -count)[-count:]
        else:
            top = np.arange(len(frequencies))
        top = top[np.lexsort((top, -frequencies[top]))]
        names = self._words.take(start + top)
        return [
            Near(name, 0, frequency) for name, frequency in zip(names, frequencies[top].tolist(), strict=True)
        ]

    def _place(self, text: str) -> int:
        """How many words come before ``text``."""
        low, high = 0, len(self._words)
        while low < high:
            middle = (low + high) // 2
            if self._words[middle] < text:
                low = middle + 1
            else:
                high = middle
        return low


def _remains(word: str, lost: int) -> set[int]:
    """Hashes of the first letters of ``word`` with up to ``lost`` of them left out."""
    first = word[:_FIRST_LETTERS]
    left = {first}
    for count in range(1, lost + 1):
        left.update("".join(kept) for kept in combinations(first, len(first) - count))
    return {crc32(text.encode("utf-8", "surrogatepass")) for text in left}
