"""The most probable legal sequence of BIO labels."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]

_FORBIDDEN = np.float32(-1e9)


def best_path(logits: Floats, labels: Sequence[str]) -> list[int]:
    """The sequence of labels with the highest product of probabilities in which no ``I-x`` hangs in the air.

    ``I-x`` may follow only ``B-x`` and ``I-x``. Choosing each word's label alone breaks that rule now and
    then, and a broken name is a wrong name.
    By dynamic programming over the words, Viterbi 1967. Most queries never get there: where each word's
    best labels are legal together, they are the answer.

    Args:
        logits: float32 [W, L] of the words that carry a label, in order.
        labels: L BIO labels by class index. A type without a ``B-x`` may begin with ``I-x``.

    Returns:
        W class indices.
    """
    greedy: list[int] = logits.argmax(axis=1).tolist()
    moves = _moves(tuple(labels))
    before = len(labels)
    for label in greedy:
        if moves[before, label] < 0:
            break
        before = label
    else:
        return greedy
    logits = logits - np.log(np.exp(logits - logits.max(axis=1, keepdims=True)).sum(axis=1, keepdims=True))
    scores = logits[0] + moves[-1]
    came_from: list[npt.NDArray[np.intp]] = []
    for row in logits[1:]:
        reached = scores[:, None] + moves[:-1]
        came_from.append(reached.argmax(axis=0))
        scores = reached.max(axis=0) + row
    path = [int(scores.argmax())]
    for choice in reversed(came_from):
        path.append(int(choice[path[-1]]))
    return path[::-1]


@lru_cache(maxsize=16)
def _moves(labels: tuple[str, ...]) -> Floats:
    """0 where label j may follow label i, far below where not: float32 [L + 1, L], the last row the start."""
    openers = {label[2:] for label in labels if label.startswith("B-")}
    moves = np.zeros((len(labels) + 1, len(labels)), np.float32)
    for inside, label in enumerate(labels):
        if label.startswith("I-") and label[2:] in openers:
            same_type = [before[:2] in ("B-", "I-") and before[2:] == label[2:] for before in labels]
            moves[~np.array([*same_type, False]), inside] = _FORBIDDEN
    return moves
