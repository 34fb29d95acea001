"""Training batches for both heads at once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import cycle, islice, pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from endcap_rerank.tokenizer import QueryTokenizer, Tokens
from torch import Tensor
from torch.utils.data import Dataset, Sampler

from endcap_export.alignment import IGNORED, piece_labels
from endcap_export.augment import Augmentation, augment, augment_tagged
from endcap_export.bio import TaggedQuery
from endcap_export.data import RIGHT
from endcap_export.padding import like_length, padded

NO_GRADE = -1.0
"""Grade of a hard negative: no shopper and no judge said so, it only is none of the answers."""

HALF = 0.5
"""Grade from which a product answers a query well enough to be no other query's wrong answer."""

_CHUNKS = 2
"""Parts by length that a batch's products are read in, each padded by itself."""


@dataclass(frozen=True)
class Answers:
    """A query and what is known of products for it.

    Attributes:
        query: the query.
        grades: product id → 0 (as wrong as the shop's scale goes) to 1 (right).
        negatives: ids of hard negatives.
        weights: product id → how much it counts as a right answer; 1 where it is not named.
    """

    query: str
    grades: Mapping[str, float]
    negatives: Sequence[str] = ()
    weights: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Examples:
    """What a model learns from; either part may be empty.

    Attributes:
        tagged: queries for the tag head.
        answers: queries and products for the embedding.
        texts: product id → the text that the product tower reads.
        augmentation: how often a query is changed on its way.
    """

    tagged: Sequence[TaggedQuery]
    answers: Sequence[Answers]
    texts: Mapping[str, str]
    augmentation: Augmentation = field(default_factory=lambda: Augmentation(0.0, 0.0, 0.0))

    @property
    def pairs(self) -> int:
        """Graded pairs in all."""
        return sum(len(answers.grades) for answers in self.answers)


class JointDataset(Dataset[int]):
    """The word pieces of all examples; an item is its own index and ``collate`` makes the tensors.

    Indices below ``len(examples.tagged)`` are tagged queries, the others are queries with products; each
    epoch has indices of its own, ``len(self)`` higher than those of the one before.
    """

    def __init__(
        self,
        examples: Examples,
        tokenizer: QueryTokenizer,
        classes: Mapping[str, int],
        seed: int = 0,
        products_per_query: int = 4,
    ) -> None:
        self._examples = examples
        self._seed = seed
        self._most = products_per_query
        self._tokenizer = tokenizer
        self._classes = classes
        self.tagged_count = len(examples.tagged)
        self._tagged = self._pieces(examples.tagged)
        self._queries = _rows(tokenizer.encode([answers.query for answers in examples.answers]))
        items = sorted(
            {item for answers in examples.answers for item in (*answers.grades, *answers.negatives)}
        )
        tokens = tokenizer.encode_products([examples.texts[item] for item in items])
        self._items = dict(zip(items, (ids for ids, _ in _rows(tokens)), strict=True))

    def __len__(self) -> int:
        return self.tagged_count + len(self._queries)

    def __getitem__(self, index: int) -> int:
        return index

    def lengths(self) -> npt.NDArray[np.int64]:
        """Word pieces of each tagged query; 0 of the others, which are drawn without regard to length."""
        return np.array([*(len(ids) for ids, _ in self._tagged), *[0] * len(self._queries)], np.int64)

    def items_per_query(self) -> float:
        """Products that come with a query, on average."""
        counts = [
            min(self._most, len(answers.grades)) + len(answers.negatives)
            for answers in self._examples.answers
        ]
        return float(np.mean(counts)) if counts else 1.0

    def collate(self, indices: Sequence[int]) -> dict[str, Any]:
        """Tensors of one batch; what chance decides depends on the seed and the indices alone.

        Returns:
            ``tag_ids``, ``tag_mask``, ``tag_labels`` [B, T] for the tagged queries of the batch; for the Q
            others ``query_ids``, ``query_mask`` [Q, T], and for their N products, by length, ``items``, parts
            (ids, mask) [.., U] that are N rows together, ``owners`` int64 [N], the query that each came
            with, ``grades`` float [N], ``NO_GRADE`` for hard negatives, ``weights`` float [N], and
            ``false_negatives`` bool [Q, N]: where item j answers query i although it came with another one.
        """
        rng = np.random.default_rng([self._seed, *indices])
        indices = [index % len(self) for index in indices]
        batch: dict[str, Any] = {}
        if tagged := [index for index in indices if index < self.tagged_count]:
            batch |= self._tags(tagged, rng)
        if others := [index - self.tagged_count for index in indices if index >= self.tagged_count]:
            batch |= self._answers(others, rng)
        return batch

    def _tags(self, indices: Sequence[int], rng: np.random.Generator) -> dict[str, Tensor]:
        changed: dict[int, TaggedQuery] = {}
        for place, index in enumerate(indices):
            query = self._examples.tagged[index]
            if (other := augment_tagged(query, rng, self._examples.augmentation)) is not query:
                changed[place] = other
        pieces = [self._tagged[index] for index in indices]
        for place, piece in zip(changed, self._pieces(list(changed.values())), strict=True):
            pieces[place] = piece
        ids, mask = padded([ids for ids, _ in pieces])
        labels, _ = padded([labels for _, labels in pieces], IGNORED)
        return {"tag_ids": ids, "tag_mask": mask, "tag_labels": labels}

    def _answers(self, indices: Sequence[int], rng: np.random.Generator) -> dict[str, Any]:
        chosen = [self._examples.answers[index] for index in indices]
        rows: list[tuple[int, str, float]] = []
        for owner, answers in enumerate(chosen):
            rows += [(owner, item, answers.grades[item]) for item in self._drawn(answers, rng)]
            rows += [(owner, item, NO_GRADE) for item in answers.negatives]
        rows.sort(key=lambda row: len(self._items[row[1]]))
        ids = [self._items[item] for _, item, _ in rows]
        cuts = [len(ids) * chunk // _CHUNKS for chunk in range(_CHUNKS + 1)]
        queries = padded(self._changed(indices, chosen, rng))
        return {
            "query_ids": queries[0],
            "query_mask": queries[1],
            "items": [padded(ids[start:end]) for start, end in pairwise(cuts) if end > start],
            "owners": torch.tensor([owner for owner, _, _ in rows]),
            "grades": torch.tensor([grade for _, _, grade in rows]),
            "weights": torch.tensor([chosen[owner].weights.get(item, 1.0) for owner, item, _ in rows]),
            "false_negatives": torch.tensor(
                [
                    [owner != row and answers.grades.get(item, 0.0) >= HALF for owner, item, _ in rows]
                    for row, answers in enumerate(chosen)
                ]
            ),
        }

    def _drawn(self, answers: Answers, rng: np.random.Generator) -> list[str]:
        """Graded products of a query for one batch; a right one is among them, if it has one."""
        items = list(answers.grades)
        if len(items) <= self._most:
            return items
        order = [items[place] for place in rng.permutation(len(items))]
        drawn = order[: self._most]
        right = [item for item in order if answers.grades[item] >= RIGHT]
        if right and right[0] not in drawn:
            drawn[-1] = right[0]
        return drawn

    def _changed(
        self, indices: Sequence[int], chosen: Sequence[Answers], rng: np.random.Generator
    ) -> list[npt.NDArray[np.int64]]:
        """Pieces of each query, of some with a typo or another change."""
        queries = [self._queries[index][0] for index in indices]
        texts = [augment(answers.query, rng, self._examples.augmentation) for answers in chosen]
        places = [place for place, answers in enumerate(chosen) if texts[place] != answers.query]
        tokens = self._tokenizer.encode([texts[place] for place in places])
        for place, (ids, _) in zip(places, _rows(tokens), strict=True):
            queries[place] = ids
        return queries

    def _pieces(
        self, tagged: Sequence[TaggedQuery]
    ) -> list[tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]]:
        """Ids and classes of the pieces of each query."""
        rows = _rows(self._tokenizer.encode([query.text for query in tagged]))
        return [
            (ids, piece_labels(query, offsets, self._classes))
            for query, (ids, offsets) in zip(tagged, rows, strict=True)
        ]


class JointBatches(Sampler[list[int]]):
    """Batches of like length, each with tagged queries and others; the smaller part comes round again.

    Order and indices depend on the seed and the epoch alone, so that a resumed run sees the same batches.
    """

    def __init__(
        self, lengths: npt.NDArray[np.int64], tagged_count: int, sizes: tuple[int, int], seed: int
    ) -> None:
        self._lengths = lengths
        parts = np.arange(tagged_count), np.arange(tagged_count, len(lengths))
        self._parts = [(part, size) for part, size in zip(parts, sizes, strict=True) if len(part)]
        self._seed = seed
        self._epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Choose the order of this epoch."""
        self._epoch = epoch

    def __len__(self) -> int:
        return max(-(-len(part) // size) for part, size in self._parts)

    def __iter__(self) -> Iterator[list[int]]:
        generator = np.random.default_rng([self._seed, self._epoch])
        streams = [
            islice(cycle(like_length(part, self._lengths, size, generator)), len(self))
            for part, size in self._parts
        ]
        for parts in zip(*streams, strict=True):
            yield [int(index) + self._epoch * len(self._lengths) for part in parts for index in part]


def _rows(tokens: Tokens) -> list[tuple[npt.NDArray[np.int64], npt.NDArray[np.int32]]]:
    """Ids and offsets of each text without padding."""
    sizes = tokens.attention_mask.sum(axis=1).tolist()
    return [(tokens.input_ids[row, :size], tokens.offsets[row, :size]) for row, size in enumerate(sizes)]
