"""Labels of word pieces become labelled spans of the query.

``word_starts`` decides which pieces carry a label. Training aligns its labels with it and serving
reads logits with it, so that both mean the same by "the label of a word".
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from endcap_rerank.label_path import best_path

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Tag:
    """A labelled span of a query.

    Attributes:
        label: the entity type without ``B-``/``I-``, as the release's label set spells it.
        text: ``query[start:end]``.
        confidence: mean probability of the type over the span's words, in (0, 1].
    """

    label: str
    text: str
    start: int
    end: int
    confidence: float

    def as_mapping(self) -> dict[str, object]:
        """The tag as JSON-ready values."""
        return {
            "label": self.label,
            "text": self.text,
            "start": self.start,
            "end": self.end,
            "confidence": round(self.confidence, 4),
        }


def is_cjk(char: str) -> bool:
    """Whether ``char`` is of a script without spaces: Han, kana, full-width forms, their punctuation.

    Full-width letters and digits (``Ａ``, ``１``) make words as the usual ones do.
    """
    code = ord(char)
    return code >= 0x2E80 and (
        code <= 0x9FFF
        or 0xF900 <= code <= 0xFAFF
        or 0xFE30 <= code <= 0xFE4F
        or (0xFF00 <= code <= 0xFFEF and not _is_wide_latin(code))
        or code >= 0x20000
    )


def _is_wide_latin(code: int) -> bool:
    return 0xFF10 <= code <= 0xFF19 or 0xFF21 <= code <= 0xFF3A or 0xFF41 <= code <= 0xFF5A


def word_positions(
    text: str, offsets: Sequence[Sequence[int]] | npt.NDArray[np.int32]
) -> list[tuple[int, int]]:
    """The labelled words of ``text`` as (piece index, first character) pairs, in order.

    A word is a run of characters without whitespace and without CJK, or one CJK character; of a
    piece that spans several CJK characters only the first counts. Of several pieces that begin at
    the same character (a lone ``▁`` before it, the bytes of one character) the last carries the label.
    """
    spans = offsets.tolist() if isinstance(offsets, np.ndarray) else offsets
    words: list[tuple[int, int]] = []
    for piece, (start, end) in enumerate(spans):
        while start < end and text[start].isspace():
            start += 1
        if start >= end:
            continue
        if start > 0 and not is_cjk(text[start]):
            before = text[start - 1]
            if not before.isspace() and not is_cjk(before):
                continue
        if words and words[-1][1] == start:
            words.pop()
        words.append((piece, start))
    return words


def word_starts(text: str, offsets: Sequence[Sequence[int]] | npt.NDArray[np.int32]) -> npt.NDArray[np.bool_]:
    """Which word pieces carry a label.

    Args:
        text: the raw query (without the encoder's prefix).
        offsets: [T, 2] character spans [start, end) in ``text``; (0, 0) for special, prefix and
            padding pieces.

    Returns:
        bool [T]: true for the first piece of each whitespace-separated word, for every piece that
        begins with a CJK character, and for a piece that follows a CJK character directly
        (``大衣200元``: ``200`` is a word). Special pieces and a lone ``▁`` are false.
    """
    flags = np.zeros(len(offsets), dtype=np.bool_)
    for piece, _ in word_positions(text, offsets):
        flags[piece] = True
    return flags


def decode_tags(
    text: str,
    offsets: Sequence[Sequence[int]] | npt.NDArray[np.int32],
    logits: Floats,
    labels: Sequence[str],
) -> tuple[Tag, ...]:
    """Read the tags of a query from the encoder's token logits.

    Args:
        text: the raw query.
        offsets: [T, 2] as in :func:`word_starts`.
        logits: float32 [T, L].
        labels: L BIO labels by class index (``O``, ``B-brand``, ``I-brand`` …).

    Returns:
        Tags in reading order, of the most probable legal labels (:func:`best_path`). In a label set without
        ``B-x``, ``I-x`` after another type, or after nothing, opens a tag. Empty when there are no labels.
    """
    if not labels:
        return ()
    words = word_positions(text, offsets)
    if not words:
        return ()
    rows = np.asarray(logits, dtype=np.float32)[[piece for piece, _ in words]]
    best = best_path(rows, labels)
    rows = np.exp(rows - rows.max(axis=1, keepdims=True))
    rows /= rows.sum(axis=1, keepdims=True)
    ends = [start for _, start in words[1:]]
    ends.append(
        max(int(end) for _, end in (offsets.tolist() if isinstance(offsets, np.ndarray) else offsets))
    )

    partner = _partners(tuple(labels))
    open_label = ""
    runs: list[tuple[str, int, int, list[float]]] = []
    for row, winner, (_, start), end in zip(rows, best, words, ends, strict=True):
        mark, _, label = labels[winner].partition("-")
        if not label:
            open_label = ""
            continue
        other = partner[winner]
        # B- against I- is a question of where a name begins, not of what it is: both count for the type.
        probability = float(row[winner]) + (float(row[other]) if other is not None else 0.0)
        if mark == "I" and label == open_label:
            name, first, _, seen = runs[-1]
            runs[-1] = (name, first, end, [*seen, probability])
        else:
            runs.append((label, start, end, [probability]))
        open_label = label
    tags = []
    for label, start, end, seen in runs:
        span = text[start:end].rstrip()
        tags.append(Tag(label, span, start, start + len(span), min(1.0, sum(seen) / len(seen))))
    return tuple(tags)


@lru_cache(maxsize=8)
def _partners(labels: tuple[str, ...]) -> list[int | None]:
    """For ``B-x`` the class of ``I-x`` and the reverse; None where the label set has no such class."""
    position = {label: index for index, label in enumerate(labels)}
    swap = {"B": "I-", "I": "B-"}
    partners: list[int | None] = []
    for label in labels:
        mark, _, name = label.partition("-")
        partners.append(position.get(swap[mark] + name) if name and mark in swap else None)
    return partners
