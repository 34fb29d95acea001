"""Training batches for both heads at once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import cycle, islice

import numpy as np
import numpy.typing as npt
import torch
from endcap_rerank.tokenizer import QueryTokenizer, Tokens
from torch import Tensor
from torch.utils.data import Dataset, Sampler

from endcap_export.alignment import IGNORED, piece_labels
from endcap_export.bio import TaggedQuery

_BUCKET = 50
"""Batches that are sorted by length together: little padding, and still a good shuffle."""


@dataclass(frozen=True)
class Pair:
    """A query and a product that answers it."""

    query: str
    item: str


@dataclass(frozen=True)
class Examples:
    """What a model learns from; either part may be empty.

    Attributes:
        tagged: queries for the tag head.
        pairs: positives for the embedding.
        texts: product id → the text that the product tower reads.
    """

    tagged: Sequence[TaggedQuery]
    pairs: Sequence[Pair]
    texts: Mapping[str, str]


class JointDataset(Dataset[int]):
    """The word pieces of all examples; an item is its own index and ``collate`` makes the tensors.

    Indices below ``len(examples.tagged)`` are tagged queries, the others are pairs.
    """

    def __init__(self, examples: Examples, tokenizer: QueryTokenizer, classes: Mapping[str, int]) -> None:
        self._pairs = examples.pairs
        self.tagged_count = len(examples.tagged)
        tagged = _rows(tokenizer.encode([query.text for query in examples.tagged]))
        self._tagged = [ids for ids, _ in tagged]
        self._labels = [
            piece_labels(query, offsets, classes)
            for query, (_, offsets) in zip(examples.tagged, tagged, strict=True)
        ]
        queries = sorted({pair.query for pair in examples.pairs})
        items = sorted({pair.item for pair in examples.pairs})
        self._queries = dict(zip(queries, (ids for ids, _ in _rows(tokenizer.encode(queries))), strict=True))
        tokens = tokenizer.encode_products([examples.texts[item] for item in items])
        self._items = dict(zip(items, (ids for ids, _ in _rows(tokens)), strict=True))
        self._positives: dict[str, set[str]] = {}
        for pair in examples.pairs:
            self._positives.setdefault(pair.query, set()).add(pair.item)

    def __len__(self) -> int:
        return self.tagged_count + len(self._pairs)

    def __getitem__(self, index: int) -> int:
        return index

    def lengths(self) -> npt.NDArray[np.int64]:
        """Word pieces of each example, of a pair those of its product: int64 [len(self)]."""
        pairs = [len(self._items[pair.item]) for pair in self._pairs]
        return np.array([*map(len, self._tagged), *pairs], np.int64)

    def collate(self, indices: Sequence[int]) -> dict[str, Tensor]:
        """Tensors of one batch.

        Returns:
            ``tag_ids``, ``tag_mask``, ``tag_labels`` [B, T] for the tagged queries of the batch;
            ``query_ids``, ``query_mask`` [P, T], ``item_ids``, ``item_mask`` [P, U] and
            ``false_negatives`` bool [P, P] for its pairs: where item j answers query i although it is
            another pair's item.
        """
        batch: dict[str, Tensor] = {}
        if tagged := [index for index in indices if index < self.tagged_count]:
            batch["tag_ids"], batch["tag_mask"] = _padded([self._tagged[index] for index in tagged])
            batch["tag_labels"], _ = _padded([self._labels[index] for index in tagged], IGNORED)
        pairs = [self._pairs[index - self.tagged_count] for index in indices if index >= self.tagged_count]
        if pairs:
            batch["query_ids"], batch["query_mask"] = _padded([self._queries[pair.query] for pair in pairs])
            batch["item_ids"], batch["item_mask"] = _padded([self._items[pair.item] for pair in pairs])
            batch["false_negatives"] = torch.tensor(
                [
                    [
                        row != column and other.item in self._positives[pair.query]
                        for column, other in enumerate(pairs)
                    ]
                    for row, pair in enumerate(pairs)
                ]
            )
        return batch


class JointBatches(Sampler[list[int]]):
    """Batches of like length, each with tagged queries and pairs; the smaller part comes round again.

    The order depends on the seed and the epoch alone, so that a resumed run sees the same batches.
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
        streams = [islice(cycle(self._shuffled(*part, generator)), len(self)) for part in self._parts]
        for parts in zip(*streams, strict=True):
            yield [int(index) for part in parts for index in part]

    def _shuffled(
        self, part: npt.NDArray[np.int64], size: int, generator: np.random.Generator
    ) -> list[npt.NDArray[np.int64]]:
        order = generator.permutation(part)
        batches = []
        for start in range(0, len(order), size * _BUCKET):
            bucket = order[start : start + size * _BUCKET]
            bucket = bucket[np.argsort(self._lengths[bucket], kind="stable")]
            batches += [bucket[first : first + size] for first in range(0, len(bucket), size)]
        return [batches[index] for index in generator.permutation(len(batches))]


def _rows(tokens: Tokens) -> list[tuple[npt.NDArray[np.int64], npt.NDArray[np.int32]]]:
    """Ids and offsets of each text without padding."""
    sizes = tokens.attention_mask.sum(axis=1).tolist()
    return [(tokens.input_ids[row, :size], tokens.offsets[row, :size]) for row, size in enumerate(sizes)]


def _padded(rows: Sequence[npt.NDArray[np.int64]], fill: int = 0) -> tuple[Tensor, Tensor]:
    shape = len(rows), max(map(len, rows))
    values, mask = np.full(shape, fill, np.int64), np.zeros(shape, np.int64)
    for number, row in enumerate(rows):
        values[number, : len(row)] = row
        mask[number, : len(row)] = 1
    return torch.from_numpy(values), torch.from_numpy(mask)
