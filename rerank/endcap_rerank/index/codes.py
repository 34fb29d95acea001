"""Products by model number, however it is written: ``DCD771C2``, ``dcd-771 c2``."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from endcap_rerank.index.analyzer import folded
from endcap_rerank.index.arrays import open_array, save_array
from endcap_rerank.index.strings import StringTable, write_strings
from endcap_rerank.product import Product

MOST_PRODUCTS = 8
"""A code that more products share names a size or a series, not a model."""

_RUN = re.compile(r"[a-z0-9]+(?:[-/._][a-z0-9]+)*")
_SEPARATORS = re.compile(r"[-/._\s]+")
_PART = re.compile(r"(?=.*\d)[\x21-\x7e]+|[a-z]{1,3}")
"""What a model number written with blanks consists of: ``dcd 771 c2``."""
_LEAST_LENGTH = 4
_LEAST_DIGITS = 5
"""Of a code without letters: shorter ones are sizes, years, counts."""
_LEAST_WITHIN = 6
"""Length from which a code stands out among other words."""
_MEASURE = re.compile(r"[\d/.x-]*\d[-x]?[a-z]{1,6}")
"""``18v``, ``1/2in``, ``20-volt``, ``12-gauge``, ``10x12ft``."""


def codes_of(product: Product) -> frozenset[str]:
    """What may be a model number of a product: from its id, title and attributes."""
    found: set[str] = set()
    for text in (product.id, product.title, *product.attributes.values()):
        found.update(_normal(run) for run in _RUN.findall(folded(text)) if _is_code(run))
    return frozenset(found)


def codes_in(query: str) -> Iterator[str]:
    """What may be a model number in a query: the whole of it first, then words that cannot be much else."""
    text = folded(query).strip()
    whole = _SEPARATORS.sub("", text) if all(_PART.fullmatch(part) for part in text.split()) else ""
    if whole.isalnum() and _is_code(whole):
        yield whole
    for run in _RUN.findall(text):
        code = _normal(run)
        if code == whole or len(code) < _LEAST_WITHIN or code.isdigit() or _MEASURE.fullmatch(run):
            continue
        if _is_code(run):
            yield code


def write_codes(directory: Path, products: Sequence[Product]) -> None:
    """Write what :class:`CodeTable` reads."""
    rows: dict[str, list[int]] = {}
    for row, product in enumerate(products):
        for code in codes_of(product):
            rows.setdefault(code, []).append(row)
    codes = sorted(code for code, having in rows.items() if len(having) <= MOST_PRODUCTS)
    write_strings(directory, "codes", codes, keys=codes)
    offsets = np.zeros(len(codes) + 1, np.int64)
    np.cumsum([len(rows[code]) for code in codes], out=offsets[1:])
    save_array(directory, "codes.row_offsets", offsets)
    save_array(directory, "codes.rows", np.array([row for code in codes for row in rows[code]], np.int32))


class CodeTable:
    """The model numbers of a release's base catalogue, memory-mapped."""

    def __init__(self, directory: Path) -> None:
        self._codes = StringTable(directory, "codes")
        self._offsets = open_array(directory, "codes.row_offsets")
        self._rows = open_array(directory, "codes.rows")

    @classmethod
    def open(cls, directory: Path) -> CodeTable | None:
        """Map the table; None where the index was built before there was one.

        Raises:
            ReleaseError: it is damaged.
        """
        return cls(directory) if (directory / "codes.bin").is_file() else None

    def rows(self, code: str) -> list[int]:
        """The rows of a model number as :func:`codes_of` writes it, ascending."""
        at = self._codes.find(code)
        if at < 0:
            return []
        start, end = self._offsets[at : at + 2].tolist()
        rows: list[int] = self._rows[start:end].tolist()
        return rows


def _normal(run: str) -> str:
    return _SEPARATORS.sub("", run)


def _is_code(run: str) -> bool:
    code = _normal(run)
    digits = sum(char.isdigit() for char in code)
    return len(code) >= _LEAST_LENGTH and digits > 0 and (digits < len(code) or digits >= _LEAST_DIGITS)
