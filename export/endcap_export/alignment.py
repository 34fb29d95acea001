"""Labels of tokens to word pieces and back, by character position in the raw query."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
from endcap_rerank.label_path import best_path
from endcap_rerank.tags import word_positions

from endcap_export.bio import OUTSIDE, TaggedQuery

IGNORED = -100
"""Class of pieces that carry no label: special and padding pieces, continuations of a word."""


def piece_labels(
    query: TaggedQuery, offsets: npt.NDArray[np.int32], classes: Mapping[str, int]
) -> npt.NDArray[np.int64]:
    """The class of each word piece, ``IGNORED`` where serving reads none.

    Args:
        query: the tagged query.
        offsets: int32 [T, 2], spans of the pieces in ``query.text``.
        classes: BIO label → class index.

    Returns:
        int64 [T].
    """
    aligned = np.full(len(offsets), IGNORED, np.int64)
    before = -1
    for piece, start in word_positions(query.text, offsets):
        token = bisect_right(query.starts, start) - 1
        label = query.labels[token]
        # A token of several Chinese characters: only its first opens the span.
        aligned[piece] = classes[_continued(label) if token == before else label]
        before = token
    return aligned


def token_labels(
    query: TaggedQuery,
    offsets: npt.NDArray[np.int32],
    logits: npt.NDArray[np.float32],
    labels: Sequence[str],
) -> list[str]:
    """The encoder's label for each token of the query: what ``piece_labels`` took apart.

    A token inside a piece that begins earlier continues that piece's span; one that was cut off, because
    the query is too long, is outside.

    Args:
        query: the query whose tokens are asked for.
        offsets: int32 [T, 2].
        logits: float32 [T, L].
        labels: L BIO labels by class index.
    """
    words = word_positions(query.text, offsets)
    end = int(offsets[:, 1].max(initial=0))
    starts = [start for _, start in words]
    best = (
        [labels[index] for index in best_path(logits[[piece for piece, _ in words]], labels)] if words else []
    )
    answer = []
    for begin in query.starts:
        word = bisect_right(starts, begin) - 1
        if word < 0 or begin >= end:
            answer.append(OUTSIDE)
        elif starts[word] == begin:
            answer.append(best[word])
        else:
            follows = best[word + 1] if word + 1 < len(best) else OUTSIDE
            blank = query.text[begin].isspace()
            inside = _continued(best[word])
            answer.append(OUTSIDE if blank and follows != inside else inside)
    return answer


def _continued(label: str) -> str:
    return label if label == OUTSIDE else f"I-{label[2:]}"
