"""The most probable legal labels against all sequences there are."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from endcap_rerank.label_path import best_path

LABELS = ("O", "B-brand", "I-brand", "B-price", "I-price")


def legal(path: tuple[int, ...], labels: tuple[str, ...]) -> bool:
    """Whether each ``I-x`` follows ``B-x`` or ``I-x``."""
    before = ["O", *(labels[index] for index in path[:-1])]
    return all(
        not labels[index].startswith("I-") or last in (f"B-{labels[index][2:]}", labels[index])
        for last, index in zip(before, path, strict=True)
    )


@pytest.mark.parametrize("seed", range(20))
def test_no_legal_sequence_is_more_probable(seed):
    logits = np.random.default_rng(seed).normal(size=(5, len(LABELS))).astype(np.float32)
    paths = [path for path in product(range(len(LABELS)), repeat=5) if legal(path, LABELS)]
    best = max(paths, key=lambda path: sum(logits[word, label] for word, label in enumerate(path)))
    assert best_path(logits, LABELS) == list(best)


def test_each_words_best_label_stands_where_that_is_legal():
    logits = np.eye(len(LABELS), dtype=np.float32)[[0, 1, 2, 2, 3, 4, 0]]
    assert best_path(logits, LABELS) == [0, 1, 2, 2, 3, 4, 0]


def test_a_type_without_beginnings_may_begin_inside():
    logits = np.eye(2, dtype=np.float32)[[1, 0, 1]]
    assert best_path(logits, ("O", "I-brand")) == [1, 0, 1]
