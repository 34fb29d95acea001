"""Learn which product shoppers take next from what they did.

How much each channel (``endcap_export.channels``) counts is learnt by EM: the mixture that makes the last
item of every shopper likeliest given the ones before it. Then all channels are computed again from whole
histories, and added up to one sparse matrix.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from endcap_rerank.affinities import affinities_path, write_affinities
from endcap_rerank.events import Event, events_missing, open_events
from endcap_rerank.index import Index
from endcap_rerank.release import Release
from endcap_rerank.settings import Settings
from scipy import sparse

from endcap_export.channels import channels, content_neighbours, forward_counts, prior_chances
from endcap_export.histories import Histories, histories, repeat_rates
from endcap_export.registry import RELEASES, STATE, current
from endcap_export.sparse_rows import NEIGHBOURS, rows_over, strongest

FADES = (0.4, 0.5, 0.6, 0.75)
"""Weights of a past item against that of the next, of which the likeliest is taken."""

FIT_SHOPPERS = 20_000
_EM_ROUNDS = 100

Floats = npt.NDArray[np.float32]


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
    like = content_neighbours(embeddings)
    fade, shares, likelihood = _fit(past, like, brands, count)
    mixed = sparse.csr_matrix((count, count), dtype=np.float32)
    for name, channel in channels(past, like, brands, count, only=shares).items():
        mixed = mixed + channel * np.float32(shares[name])
    mixed = _with_cold_rows(mixed.tocsr(), past, like, 1.0 - shares.get("prior", 0.0))
    starts, items, values = strongest(mixed, neighbours)
    told = {
        **(record or {}),
        "shares": {name: round(share, 4) for name, share in shares.items()},
        "log_likelihood": round(likelihood, 4),
        "shoppers": len(past),
        "items": len(np.unique(past.items)),
    }
    prior = prior_chances(past, count) * np.float32(shares.get("prior", 0.0))
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
    made = channels(before, like, brands, count)
    prior = prior_chances(before, count)[targets]
    best: tuple[float, dict[str, float], float] = (FADES[0], {}, -np.inf)
    for fade in FADES:
        weights = before.recency(fade, known, count)
        told = [_at(weights, channel, targets) for channel in made.values()]
        table = np.stack([*told, prior], axis=1).astype(np.float64)
        shares, likelihood = mixture(table)
        if likelihood > best[2]:
            best = fade, dict(zip((*made, "prior"), shares.tolist(), strict=True)), likelihood
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
    through = rows_over(like[cold] @ forward_counts(past, count), 0.5)
    rows = (like[cold] + through) * np.float32(mass / 2.0)
    spread = sparse.csr_matrix(
        (np.ones(int(cold.sum()), np.float32), (np.flatnonzero(cold), np.arange(int(cold.sum())))),
        (count, int(cold.sum())),
    )
    return (sparse.diags((~cold).astype(np.float32)) @ mixed + spread @ rows).tocsr()


def _at(weights: sparse.csr_matrix, channel: sparse.csr_matrix, targets: npt.NDArray[np.int64]) -> Floats:
    """(weights @ channel)[u, targets[u]] without the whole product: float32 [U]."""
    columns = channel.T.tocsr()[targets]
    return np.asarray(weights.multiply(columns).sum(axis=1), np.float32).ravel()
