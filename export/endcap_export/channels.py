"""Channels by which one product leads to another.

Each is a matrix of item → item chances (rows sum to at most 1):

- ``forward``: i before j in one shopper's history, PAIR_FADE^(gap - 1)·2^(-Δt / PAIR_HALF_LIFE).
- ``together``: both in one history, by cosine, so that popular products are not near everything.
- ``ease``: Steck, Embarrassingly Shallow Autoencoders (2019), closed form; small catalogues only.
- ``like``: near in content.
- ``like_forward``, ``forward_like``, ``like_forward_like``: forward through items like these: what is known
  of a product speaks for those like it, so that rare and new products have neighbours too.
- ``brand``: of the same brand.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
from scipy import sparse

from endcap_export.histories import Histories
from endcap_export.sparse_rows import pruned, rows_over, without_diagonal

PAIR_FADE = 0.75
PAIR_HALF_LIFE = 30 * 24 * 3600.0
"""Seconds between two events in which what they say of each other halves."""

MAX_GAP = 12
PRIOR_FADE = 0.6
SHRINKAGE = 2.0
"""Weight of pairs that an item must have before half of its row is believed."""

EASE_ITEMS = 5000
EASE_L2 = 200.0
CONTENT_ITEMS = 60_000
CONTENT_NEIGHBOURS = 20
CONTENT_SHARPNESS = 12.0

Floats = npt.NDArray[np.float32]


def channels(
    past: Histories,
    like: sparse.csr_matrix,
    brands: npt.NDArray[np.int32],
    count: int,
    only: Mapping[str, float] | None = None,
) -> dict[str, sparse.csr_matrix]:
    """Every channel, or those whose share in ``only`` is worth computing."""

    def wanted(name: str) -> bool:
        return only is None or only.get(name, 0.0) >= 0.003

    forward = forward_counts(past, count)
    made = {"forward": rows_over(forward, SHRINKAGE)}
    if wanted("together"):
        made["together"] = _together(past, count)
    if wanted("ease") and count <= EASE_ITEMS:
        made["ease"] = _ease(past, count)
    if like.nnz:
        made["like"] = like
        if wanted("like_forward") or wanted("like_forward_like"):
            through = (like @ forward).tocsr()
            made["like_forward"] = rows_over(pruned(through), 0.5)
            if wanted("like_forward_like"):
                made["like_forward_like"] = rows_over(pruned(pruned(through) @ like), 0.5)
        if wanted("forward_like"):
            made["forward_like"] = rows_over(pruned(forward @ like), 0.5)
    if wanted("brand"):
        made["brand"] = _same_brand(past, brands, count)
    return {name: channel for name, channel in made.items() if wanted(name)}


def forward_counts(past: Histories, count: int) -> sparse.csr_matrix:
    """How often each product was taken after each, fading with distance and time: [count, count]."""
    whose = past.shoppers
    total = sparse.csr_matrix((count, count), dtype=np.float32)
    for gap in range(1, MAX_GAP + 1):
        at = np.flatnonzero(whose[:-gap] == whose[gap:])
        if not len(at):
            break
        late = at + gap
        weights = np.sqrt(past.weights[at] * past.weights[late]) * np.float32(PAIR_FADE ** (gap - 1))
        weights *= 2.0 ** (-(past.times[late] - past.times[at]) / PAIR_HALF_LIFE)
        total = total + sparse.csr_matrix(
            (weights.astype(np.float32), (past.items[at], past.items[late])), (count, count)
        )
    # A log of single purchases has weight log(5) an item: shrinkage counts pairs, whatever they weigh.
    mean = float(past.weights.mean()) if len(past.weights) else 1.0
    return (total / np.float32(mean)).tocsr()


def _together(past: Histories, count: int) -> sparse.csr_matrix:
    sizes = np.diff(past.bounds)
    ones = np.repeat(1.0 / np.sqrt(np.maximum(1, sizes)), sizes).astype(np.float32)
    matrix = sparse.csr_matrix((ones, (past.shoppers, past.items)), (len(past), count))
    scale = sparse.diags(1.0 / np.sqrt(np.bincount(past.items, minlength=count) + 1.0))
    return rows_over(pruned(without_diagonal(scale @ (matrix.T @ matrix) @ scale)), 0.05)


def _ease(past: Histories, count: int) -> sparse.csr_matrix:
    matrix = sparse.csr_matrix(
        (np.ones(len(past.items)), (past.shoppers, past.items)), (len(past), count), dtype=np.float64
    )
    gram = (matrix.T @ matrix).toarray()
    gram[np.diag_indices(count)] += EASE_L2
    inverse = np.linalg.inv(gram)
    weights = -inverse / np.diag(inverse)
    np.fill_diagonal(weights, 0.0)
    strong = pruned(sparse.csr_matrix(np.where(weights > 1e-4, weights, 0.0).astype(np.float32)))
    return rows_over(strong, 0.05)


def content_neighbours(embeddings: Floats) -> sparse.csr_matrix:
    """The nearest products of each by content, exact, block by block; none for very large catalogues."""
    count = len(embeddings)
    near = min(CONTENT_NEIGHBOURS, count - 1)
    if count > CONTENT_ITEMS or near < 1:
        return sparse.csr_matrix((count, count), dtype=np.float32)
    columns, weights = [], []
    for start in range(0, count, 1024):
        block = embeddings[start : start + 1024] @ embeddings.T
        block[np.arange(len(block)), np.arange(start, start + len(block))] = -np.inf
        found = np.argpartition(block, -near, axis=1)[:, -near:]
        columns.append(found.ravel())
        weights.append(np.exp(CONTENT_SHARPNESS * (np.take_along_axis(block, found, 1) - 1.0)).ravel())
    matrix = sparse.csr_matrix(
        (np.concatenate(weights), np.concatenate(columns), np.arange(count + 1) * near), (count, count)
    )
    return rows_over(matrix, 0.0)


def _same_brand(past: Histories, brands: npt.NDArray[np.int32], count: int) -> sparse.csr_matrix:
    """From a product to the most taken ones of its brand, alike for all of them."""
    taken = np.bincount(past.items, minlength=count)
    order = np.lexsort((-taken, brands))
    rows, columns = [], []
    for members in np.split(order, np.flatnonzero(np.diff(brands[order])) + 1):
        if len(members) > 1 and brands[members[0]] >= 0:
            most = members[:CONTENT_NEIGHBOURS]
            rows.append(np.repeat(members, len(most)))
            columns.append(np.tile(most, len(members)))
    if not rows:
        return sparse.csr_matrix((count, count), dtype=np.float32)
    at, to = np.concatenate(rows), np.concatenate(columns)
    matrix = sparse.csr_matrix((np.ones(len(at), np.float32), (at, to)), (count, count))
    return rows_over(without_diagonal(matrix), 1.0)


def prior_chances(past: Histories, count: int) -> Floats:
    """p(next) whatever came before: what shoppers took last counts most."""
    if not len(past.items):
        return np.zeros(count, np.float32)
    age = past.times.max() - past.times
    weights = past.weights * PRIOR_FADE ** past.from_end() * 2.0 ** (-age / PAIR_HALF_LIFE)
    sums = np.bincount(past.items, weights=weights, minlength=count)
    return (sums / sums.sum()).astype(np.float32)
