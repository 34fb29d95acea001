"""Names behind codes: a memory-mapped base list that grows with the living catalogue."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from endcap_rerank.index.arrays import open_array, save_array
from endcap_rerank.index.strings import StringTable, fold, write_strings
from endcap_rerank.product import CATEGORY_SEPARATOR


class Vocabulary:
    """Codes 0 … n-1 of names; case and repeated white space do not matter.

    A name that comes later gets the next code, so codes stay valid while the process lives. Codes of
    added names may differ between processes. Names may be added by one thread while another one reads.
    """

    def __init__(self, base: StringTable) -> None:
        self._base = base
        self._added: list[str] = []
        self._added_codes: dict[str, int] = {}
        self._names: list[str] | None = None
        self._adding = threading.RLock()

    def __len__(self) -> int:
        return len(self._base) + len(self._added)

    def __getitem__(self, code: int) -> str:
        beyond = code - len(self._base)
        return self._base[code] if beyond < 0 else self._added[beyond]

    def code(self, name: str) -> int:
        """The code of a name, -1 when unknown."""
        added = self._added_codes.get(fold(name)) if self._added_codes else None
        return self._base.find(name) if added is None else added

    def add(self, name: str) -> int:
        """The code of a name, given now if it is new; -1 for an empty name."""
        key = fold(name)
        if not key:
            return -1
        code = self.code(name)
        if code < 0:
            with self._adding:
                code = self._added_codes.get(key, len(self))
                if code == len(self):
                    self._added.append(name)
                    self._names = None
                    self._added_codes[key] = code  # last: a code that is found has its name
        return code

    def names(self) -> list[str]:
        """All names by code, decoded once. Not to be changed by the caller."""
        names = self._names
        if names is None:
            with self._adding:
                names = self._names = [*self._base, *self._added]
        return names


class CategoryTree(Vocabulary):
    """Codes of category paths ``A > B > C``; every ancestor of a category has a code too.

    ``parents`` and ``tops`` are indexed by code and end in one more -1, so that code -1 (no category)
    reads -1 as well.
    """

    def __init__(self, base: StringTable, parents: NDArray[Any], tops: NDArray[Any]) -> None:
        super().__init__(base)
        self.parents = parents
        self.tops = tops

    @classmethod
    def open(cls, directory: Path) -> CategoryTree:
        """Map the tree that :meth:`write` wrote."""
        return cls(
            StringTable(directory, "categories", folded=True),
            open_array(directory, "categories.parents"),
            open_array(directory, "categories.tops"),
        )

    @staticmethod
    def write(directory: Path, paths: Sequence[str]) -> NDArray[np.int32]:
        """Write the tree of the category ``paths`` [N] and return each one's code (-1 for none)."""
        nodes: dict[str, str] = {}
        for path in dict.fromkeys(paths):
            parts = split_category(path)
            for depth in range(1, len(parts) + 1):
                node = CATEGORY_SEPARATOR.join(parts[:depth])
                nodes.setdefault(fold(node), node)
        # Sorted by their parts, parents come before their children.
        keys = sorted(nodes, key=split_category)
        codes = {key: code for code, key in enumerate(keys)}
        parents = np.full(len(keys) + 1, -1, np.int32)
        tops = np.full(len(keys) + 1, -1, np.int32)
        for code, key in enumerate(keys):
            above, separator, _ = key.rpartition(CATEGORY_SEPARATOR)
            parents[code] = codes[above] if separator else -1
            tops[code] = tops[parents[code]] if separator else code
        write_strings(directory, "categories", [nodes[key] for key in keys], keys=keys)
        save_array(directory, "categories.parents", parents)
        save_array(directory, "categories.tops", tops)
        return np.array([codes.get(fold(normal_category(path)), -1) for path in paths], np.int32)

    def code(self, name: str) -> int:
        """The code of a path, -1 when unknown; blanks around ``>`` do not matter."""
        return super().code(normal_category(name))

    def add(self, name: str) -> int:
        """The code of a path; it and its missing ancestors get codes now."""
        parts = split_category(name)
        if not parts:
            return -1
        path = CATEGORY_SEPARATOR.join(parts)
        code = self.code(path)
        if code >= 0:
            return code
        with self._adding:
            parent = self.add(CATEGORY_SEPARATOR.join(parts[:-1]))
            if (code := self.code(path)) >= 0:
                return code
            code = len(self)
            self.parents = np.insert(self.parents, code, parent)
            self.tops = np.insert(self.tops, code, code if parent < 0 else self.tops[parent])
            return super().add(path)

    def subtree(self, code: int) -> NDArray[np.bool_]:
        """Which codes lie in the subtree of ``code``: bool [len + 1], the last one (code -1) false."""
        with self._adding:
            count, parents = len(self), self.parents
        inside = np.zeros(count + 1, bool)
        if code < 0:
            return inside
        inside[code] = True
        while True:
            larger = inside | inside[parents]
            if np.array_equal(larger, inside):
                return inside
            inside = larger


def split_category(path: str) -> list[str]:
    """The names along a category path, from the root."""
    return [part.strip() for part in path.split(">") if part.strip()]


def normal_category(path: str) -> str:
    """The path with its separators written as in ``A > B``."""
    return CATEGORY_SEPARATOR.join(split_category(path))
