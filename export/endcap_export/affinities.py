"""Learn which product shoppers take next from what they did.

Channels, each a matrix of item → item chances (rows sum to at most 1):

- ``forward``: i before j in one shopper's history, PAIR_FADE^(gap - 1)·2^(-Δt / PAIR_HALF_LIFE).
- ``together``: both in one history, by cosine, so that popular products are not near everything.
- ``ease``: Steck, Embarrassingly Shallow Autoencoders (2019), closed form; small catalogues only.
- ``like``: near in content.
- ``like_forward``, ``forward_like``, ``like_forward_like``: forward through items like these: what is known
  of a product speaks for those like it, so that rare and new products have neighbours too.
- ``brand``: of the same brand.

How much each channel counts is learnt by EM: the mixture that makes the last item of every shopper
likeliest given the ones before it. Then all channels are computed again from whole histories, and added
up to one sparse matrix.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from endcap_rerank.affinities import LATEST, affinities_path, item_weight, write_affinities
from endcap_rerank.events import Event, events_missing, open_events
from endcap_rerank.index import Index
from endcap_rerank.release import Release
from endcap_rerank.schema import EVENT_WEIGHTS
from endcap_rerank.settings import Settings
from scipy import sparse

from endcap_export.registry import RELEASES, STATE, current

NEIGHBOURS = 300
"""Neighbours kept of an item."""

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

REPEAT_AFTER = 24 * 3600.0
REPEAT_SHRINKAGE = 10.0
"""Buyers that a category must have before half of its rate is believed."""

FADES = (0.4, 0.5, 0.6, 0.75)
"""Weights of a past item against that of the next, of which the likeliest is taken."""

FIT_SHOPPERS = 20_000
_EM_ROUNDS = 100

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Histories:
    """All shoppers' items, oldest first, each once a shopper, one after the other.

    Attributes:
        bounds: int64 [shoppers + 1].
        items: int64 [n] rows of the index.
        weights: float32 [n].
        times: float64 [n] seconds.
    """

    bounds: npt.NDArray[np.int64]
    items: npt.NDArray[np.int64]
    weights: Floats
    times: npt.NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.bounds) - 1

    @property
    def shoppers(self) -> npt.NDArray[np.int64]:
        """int64 [n], whose each item is."""
        return np.repeat(np.arange(len(self)), np.diff(self.bounds))

    def from_end(self) -> npt.NDArray[np.int64]:
        """int64 [n], 0 for a shopper's latest item."""
        return self.bounds[1:][self.shoppers] - 1 - np.arange(len(self.items))

    def without_last(self) -> Histories:
        """Every shopper's history but its last item."""
        kept = self.from_end() > 0
        bounds = np.concatenate([[0], np.cumsum(np.maximum(0, np.diff(self.bounds) - 1))])
        return Histories(bounds, self.items[kept], self.weights[kept], self.times[kept])

    def recency(self, fade: float, only: npt.NDArray[np.int64], items: int) -> sparse.csr_matrix:
        """Weights that ``Affinities`` gives the items of each history of ``only``: [len(only), items]."""
        back = self.from_end()
        place = np.full(len(self), -1)
        place[only] = np.arange(len(only))
        rows = place[self.shoppers]
        kept = (rows >= 0) & (back < LATEST)
        weights = self.weights[kept] * np.float32(fade) ** back[kept]
        matrix = sparse.csr_matrix((weights, (rows[kept], self.items[kept])), (len(only), items))
        return _rows_over(matrix, 0.0)


def histories(events: Iterable[Event], rows: Mapping[str, int]) -> Histories:
    """Gather events to histories; an item counts where it was touched last.

    Args:
        rows: item id → row; other items are left out, and so are items that were disliked in sum.
    """
    touched: dict[str, dict[int, tuple[float, float]]] = {}
    for event in sorted(events, key=lambda event: event.timestamp):
        row = rows.get(event.item)
        if row is not None:
            mine = touched.setdefault(event.user, {})
            total, _ = mine.pop(row, (0.0, 0.0))  # popped, so that the order is that of the last touch
            mine[row] = (total + EVENT_WEIGHTS.get(event.event, 0.0), event.timestamp)
    liked = [
        [(row, item_weight(total), at) for row, (total, at) in mine.items() if total > 0.0]
        for mine in touched.values()
    ]
    flat = [entry for history in liked for entry in history]
    columns = list(zip(*flat, strict=True)) if flat else [(), (), ()]
    return Histories(
        np.concatenate([[0], np.cumsum([len(history) for history in liked], dtype=np.int64)]).astype(
            np.int64
        ),
        np.array(columns[0], np.int64),
        np.array(columns[1], np.float32),
        np.array(columns[2], np.float64),
    )


def repeat_rates(
    events: Iterable[Event], rows: Mapping[str, int], categories: npt.NDArray[np.int32]
) -> Floats:
    """Share of purchases after which the same shopper bought the same again, by category: float32 [N].

    again / (buyers + REPEAT_SHRINKAGE) over pairs of shopper and product; purchases within REPEAT_AFTER
    seconds are one. 0 for products without a category.
    """
    bought: dict[tuple[str, int], list[float]] = {}
    for event in events:
        if event.event == "purchase" and (row := rows.get(event.item)) is not None:
            bought.setdefault((event.user, row), []).append(event.timestamp)
    codes = np.array([categories[row] for _, row in bought], np.int64)
    again = np.array([max(times) - min(times) >= REPEAT_AFTER for times in bought.values()], np.float64)
    known, size = codes >= 0, int(categories.max(initial=-1)) + 1
    pairs = np.bincount(codes[known], minlength=size)
    rates = np.bincount(codes[known], weights=again[known], minlength=size) / (pairs + REPEAT_SHRINKAGE)
    found = np.zeros(len(categories), np.float32)
    found[categories >= 0] = rates[categories[categories >= 0]]
    return found


def learn(
    directory: Path,
    past: Histories,
    embeddings: Floats,
    brands: npt.NDArray[np.int32],
    *,
    neighbours: int = NEIGHBOURS,
    repeats: Floats | None = None,
    record: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Learn affinities and put them into ``directory``.

    Args:
        embeddings: float32 [N, D], L2-normalized, of the index's products.
        brands: int32 [N] codes, -1 for none.
        repeats: float32 [N], see ``repeat_rates``; 0 when None.

    Returns:
        What meta.json keeps: how much each channel counts, the fade, shoppers, items.
    """
    count = len(embeddings)
    like = _like(embeddings)
    fade, shares, likelihood = _fit(past, like, brands, count)
    mixed = sparse.csr_matrix((count, count), dtype=np.float32)
    for name, channel in _channels(past, like, brands, count, only=shares).items():
        mixed = mixed + channel * np.float32(shares[name])
    mixed = _with_cold_rows(mixed.tocsr(), past, like, 1.0 - shares.get("prior", 0.0))
    starts, items, values = _strongest(mixed, neighbours)
    told = {
        **(record or {}),
        "shares": {name: round(share, 4) for name, share in shares.items()},
        "log_likelihood": round(likelihood, 4),
        "shoppers": len(past),
        "items": len(np.unique(past.items)),
    }
    prior = _prior(past, count) * np.float32(shares.get("prior", 0.0))
    write_affinities(
        directory,
        starts=starts,
        items=items,
        values=values,
        prior=prior,
        repeats=np.zeros(count, np.float32) if repeats is None else repeats,
        fade=fade,
        record=told,
    )
    return {**told, "fade": fade}


def learn_affinities(repository: Path, state: Path | None = None) -> dict[str, Any]:
    """Learn from every event of the store what is taken after what among the products that are served.

    A running server takes it up with its next request. Nothing is changed when there are no events.

    Args:
        repository: a registered one.
        state: where the stores lie; the repository's own when None.

    Returns:
        What was learnt, see ``learn``; empty without events.

    Raises:
        ReleaseError: nothing is registered, or its index cannot be read.
        StoreError: the events cannot be read.
    """
    state = repository / STATE if state is None else state
    release = Release.open(repository / RELEASES / current(repository).release)
    settings = replace(Settings.from_environment(), state=state)
    if events_missing(settings):
        return {}
    store = open_events(settings)
    try:
        return learn_for_index(Index.open(release.index), release.id, store.every(), state)
    finally:
        store.close()


def learn_for_index(index: Index, release: str, events: Iterable[Event], state: Path) -> dict[str, Any]:
    """Learn the affinities of an index's products and put them where serving looks for them.

    Returns:
        What was learnt, see ``learn``; empty when no event is of these products.
    """
    everything = np.arange(index.count)
    rows = {item: row for row, item in enumerate(index.catalog.ids.take(everything))}
    events = list(events)
    past = histories(events, rows)
    if not len(past.items):
        return {}
    return learn(
        affinities_path(state, release),
        past,
        np.asarray(index.dense.vectors[everything], np.float32),
        np.asarray(index.catalog.columns.brand, np.int32),
        repeats=repeat_rates(events, rows, np.asarray(index.catalog.columns.category, np.int32)),
        record={"release": release},
    )


def _fit(
    past: Histories, like: sparse.csr_matrix, brands: npt.NDArray[np.int32], count: int
) -> tuple[float, dict[str, float], float]:
    """The fade and the shares of the channels under which every shopper's last item is likeliest."""
    lengths = np.diff(past.bounds)
    known = np.flatnonzero(lengths >= 2)
    if not len(known):
        return FADES[1], {"prior": 1.0}, 0.0
    if len(known) > FIT_SHOPPERS:
        known = np.sort(np.random.default_rng(0).choice(known, FIT_SHOPPERS, replace=False))
    targets = past.items[past.bounds[1:][known] - 1]
    before = past.without_last()
    channels = _channels(before, like, brands, count)
    prior = _prior(before, count)[targets]
    best: tuple[float, dict[str, float], float] = (FADES[0], {}, -np.inf)
    for fade in FADES:
        weights = before.recency(fade, known, count)
        told = [_at(weights, channel, targets) for channel in channels.values()]
        table = np.stack([*told, prior], axis=1).astype(np.float64)
        shares, likelihood = mixture(table)
        if likelihood > best[2]:
            best = fade, dict(zip((*channels, "prior"), shares.tolist(), strict=True)), likelihood
    return best


def mixture(chances: npt.NDArray[np.float64]) -> tuple[npt.NDArray[np.float64], float]:
    """Shares α of a mixture Σ_c α_c·p_c that make what happened likeliest, by EM.

    Args:
        chances: float64 [n, c], what each channel gave each thing that happened.

    Returns:
        float64 [c], summing to 1, and the mean log-likelihood.
    """
    chances = chances + 1e-9
    shares = np.full(chances.shape[1], 1.0 / chances.shape[1])
    for _ in range(_EM_ROUNDS):
        parts = chances * shares
        shares = (parts / parts.sum(axis=1, keepdims=True)).mean(axis=0)
    return shares, float(np.log(chances @ shares).mean())


def _with_cold_rows(
    mixed: sparse.csr_matrix, past: Histories, like: sparse.csr_matrix, mass: float
) -> sparse.csr_matrix:
    """Rows of products without events from what is like them: EM meets no such product."""
    count = mixed.shape[0]
    cold = np.bincount(past.items, minlength=count) == 0
    if not like.nnz or not cold.any() or mass <= 0.0:
        return mixed
    through = _rows_over(like[cold] @ _forward(past, count), 0.5)
    rows = (like[cold] + through) * np.float32(mass / 2.0)
    spread = sparse.csr_matrix(
        (np.ones(int(cold.sum()), np.float32), (np.flatnonzero(cold), np.arange(int(cold.sum())))),
        (count, int(cold.sum())),
    )
    return (sparse.diags((~cold).astype(np.float32)) @ mixed + spread @ rows).tocsr()


def _channels(
    past: Histories,
    like: sparse.csr_matrix,
    brands: npt.NDArray[np.int32],
    count: int,
    only: Mapping[str, float] | None = None,
) -> dict[str, sparse.csr_matrix]:
    """Every channel, or those whose share in ``only`` is worth computing."""

    def wanted(name: str) -> bool:
        return only is None or only.get(name, 0.0) >= 0.003

    forward = _forward(past, count)
    made = {"forward": _rows_over(forward, SHRINKAGE)}
    if wanted("together"):
        made["together"] = _together(past, count)
    if wanted("ease") and count <= EASE_ITEMS:
        made["ease"] = _ease(past, count)
    if like.nnz:
        made["like"] = like
        if wanted("like_forward") or wanted("like_forward_like"):
            through = (like @ forward).tocsr()
            made["like_forward"] = _rows_over(_pruned(through), 0.5)
            if wanted("like_forward_like"):
                made["like_forward_like"] = _rows_over(_pruned(_pruned(through) @ like), 0.5)
        if wanted("forward_like"):
            made["forward_like"] = _rows_over(_pruned(forward @ like), 0.5)
    if wanted("brand"):
        made["brand"] = _same_brand(past, brands, count)
    return {name: channel for name, channel in made.items() if wanted(name)}


def _forward(past: Histories, count: int) -> sparse.csr_matrix:
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
    return _rows_over(_pruned(_without_diagonal(scale @ (matrix.T @ matrix) @ scale)), 0.05)


def _ease(past: Histories, count: int) -> sparse.csr_matrix:
    matrix = sparse.csr_matrix(
        (np.ones(len(past.items)), (past.shoppers, past.items)), (len(past), count), dtype=np.float64
    )
    gram = (matrix.T @ matrix).toarray()
    gram[np.diag_indices(count)] += EASE_L2
    inverse = np.linalg.inv(gram)
    weights = -inverse / np.diag(inverse)
    np.fill_diagonal(weights, 0.0)
    strong = _pruned(sparse.csr_matrix(np.where(weights > 1e-4, weights, 0.0).astype(np.float32)))
    return _rows_over(strong, 0.05)


def _like(embeddings: Floats) -> sparse.csr_matrix:
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
    return _rows_over(matrix, 0.0)


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
    return _rows_over(_without_diagonal(matrix), 1.0)


def _prior(past: Histories, count: int) -> Floats:
    """p(next) whatever came before: what shoppers took last counts most."""
    if not len(past.items):
        return np.zeros(count, np.float32)
    age = past.times.max() - past.times
    weights = past.weights * PRIOR_FADE ** past.from_end() * 2.0 ** (-age / PAIR_HALF_LIFE)
    sums = np.bincount(past.items, weights=weights, minlength=count)
    return (sums / sums.sum()).astype(np.float32)


def _at(weights: sparse.csr_matrix, channel: sparse.csr_matrix, targets: npt.NDArray[np.int64]) -> Floats:
    """(weights @ channel)[u, targets[u]] without the whole product: float32 [U]."""
    columns = channel.T.tocsr()[targets]
    return np.asarray(weights.multiply(columns).sum(axis=1), np.float32).ravel()


def _rows_over(matrix: sparse.csr_matrix, extra: float) -> sparse.csr_matrix:
    """Rows divided by their sum plus ``extra``; empty rows stay empty."""
    sums = np.asarray(matrix.sum(axis=1)).ravel() + extra
    scale = np.divide(1.0, sums, out=np.zeros_like(sums, np.float64), where=sums > 0.0)
    return (sparse.diags(scale.astype(np.float32)) @ matrix).tocsr()


def _without_diagonal(matrix: sparse.spmatrix) -> sparse.csr_matrix:
    matrix = matrix.tocsr()
    matrix.setdiag(0.0)
    matrix.eliminate_zeros()
    return matrix


def _pruned(matrix: sparse.spmatrix, most: int = 2 * NEIGHBOURS) -> sparse.csr_matrix:
    """The strongest entries of each row."""
    starts, items, values = _strongest(matrix.tocsr(), most)
    return sparse.csr_matrix((values, items, starts), matrix.shape)


def _strongest(
    matrix: sparse.csr_matrix, most: int
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int32], Floats]:
    """CSR arrays of the ``most`` largest entries of each row, largest first; the diagonal is left out."""
    sizes = np.diff(matrix.indptr)
    rows = np.repeat(np.arange(matrix.shape[0]), sizes)
    order = np.lexsort((-matrix.data, rows))
    order = order[(matrix.indices[order] != rows[order]) & (matrix.data[order] > 0.0)]
    rows = rows[order]
    kept_sizes = np.bincount(rows, minlength=matrix.shape[0])
    within = np.arange(len(rows)) - np.repeat(np.cumsum(kept_sizes) - kept_sizes, kept_sizes)
    order, rows = order[within < most], rows[within < most]
    starts = np.concatenate([[0], np.cumsum(np.bincount(rows, minlength=matrix.shape[0]))]).astype(np.int64)
    return starts, matrix.indices[order].astype(np.int32), matrix.data[order].astype(np.float32)
