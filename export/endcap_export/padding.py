"""Texts of one batch as tensors, and batches of texts of like length: little of a tensor is padding."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

_BUCKET = 50
"""Batches that are sorted by length together: little padding, and still a good shuffle."""


def padded(rows: Sequence[npt.NDArray[np.int64]], fill: int = 0) -> tuple[Tensor, Tensor]:
    """Rows of one batch and their mask, int64 [len(rows), longest]; shorter rows end with ``fill``."""
    shape = len(rows), max(map(len, rows))
    values, mask = np.full(shape, fill, np.int64), np.zeros(shape, np.int64)
    for number, row in enumerate(rows):
        values[number, : len(row)] = row
        mask[number, : len(row)] = 1
    return torch.from_numpy(values), torch.from_numpy(mask)


def like_length(
    texts: npt.NDArray[np.int64], lengths: npt.NDArray[np.int64], size: int, generator: np.random.Generator
) -> list[npt.NDArray[np.int64]]:
    """Batches of ``size`` texts of like length, shuffled.

    Args:
        texts: numbers of the texts.
        lengths: of all texts, by number.
        size: of a batch; one batch may be smaller.
        generator: draws the order.
    """
    order = generator.permutation(texts)
    batches = []
    for start in range(0, len(order), size * _BUCKET):
        bucket = order[start : start + size * _BUCKET]
        bucket = bucket[np.argsort(lengths[bucket], kind="stable")]
        batches += [bucket[first : first + size] for first in range(0, len(bucket), size)]
    return [batches[place] for place in generator.permutation(len(batches))]
