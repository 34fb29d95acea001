"""A map of characters in the form that a tokenizer's ``Precompiled`` normalizer reads.

The form is SentencePiece's: the size of a trie in bytes (uint32), the trie as a double array (uint32
units, after Yata, "Darts-clone"), and the replacements, each ended by a zero byte. One lookup a
character whatever the size of the map, where a ``Replace`` for each of 4,000 characters would search
the text 4,000 times.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

_BLOCK = 256
_LEAF = 1 << 8
"""Bit of a unit whose key may end there; its value lies at the unit's own base."""
_VALUE = 1 << 31


def charsmap(replacements: Mapping[str, str]) -> bytes:
    """The map as bytes for ``tokenizers.normalizers.Precompiled``.

    Args:
        replacements: character → what stands for it; at least one, none with a zero character.
    """
    root = _Node()
    texts = bytearray()
    for character, replacement in sorted(replacements.items()):
        node = root
        for byte in character.encode():
            node = node.children.setdefault(byte, _Node())
        node.value = len(texts)
        texts += replacement.encode() + b"\0"
    units = _double_array(root)
    trie = units.astype("<u4").tobytes()
    return len(trie).to_bytes(4, "little") + trie + bytes(texts)


@dataclass
class _Node:
    children: dict[int, _Node] = field(default_factory=dict)
    value: int | None = None


def _double_array(root: _Node) -> np.ndarray:
    """Units such that the child ``c`` of the unit at ``p`` lies at ``p ^ offset(p) ^ c``."""
    units: dict[int, int] = {0: 0}
    bases: set[int] = set()
    start = 1
    waiting = [(0, root)]
    for place, node in waiting:
        labels = sorted(node.children)
        if node.value is not None:
            labels.insert(0, 0)
        while start in units or (labels == [0] and start in bases):
            start += 1
        cell = start
        # The base is unique, so that no child of another is taken for one of this node.
        while (base := cell ^ labels[0]) in bases or any(base ^ label in units for label in labels):
            cell += 1
        bases.add(base)
        units[place] |= (place ^ base) << 10
        if node.value is not None:
            units[place] |= _LEAF
            units[base] = _VALUE | node.value
        for label, child in node.children.items():
            units[base ^ label] = label
            waiting.append((base ^ label, child))
    # A reader looks at any cell of the block of a base.
    size = -(-(max(*units, *bases) + 1) // _BLOCK) * _BLOCK
    array = np.zeros(size, np.uint32)
    array[list(units)] = list(units.values())
    return array
