"""Candidates of recommendations: beside an item, for a taste, after what was taken."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from endcap_rerank.affinities import Affinities, History
from endcap_rerank.errors import InvalidInputError
from endcap_rerank.filters import Filters
from endcap_rerank.index import Candidates, LiveIndex
from endcap_rerank.product import CATEGORY_SEPARATOR
from endcap_rerank.profile import Profile, Taste
from endcap_rerank.scoring import released_rows

Floats = npt.NDArray[np.float32]
Rows = npt.NDArray[np.int64]

TOP_CATEGORIES = 3
"""Favourite categories whose popular products join a shopper's recommendations."""

LEARNT = 0.97
"""Share that the learnt affinities have in the relevance of recommendations; likeness has the rest."""

UNKNOWN = 0.5
"""Share of its likeness that a product has for relevance when it is newer than the affinities."""

LEAST_CHANCE = 1e-5
"""Chances below this are all alike."""


def beside(item: str, count: int, filters: Filters, index: LiveIndex, notes: list[str]) -> Candidates:
    """What is like an item; what is popular in its category, with a note, where it has no vector.

    Raises:
        InvalidInputError: the catalogue does not hold the item.
    """
    row = index.row(item)
    if row is None:
        raise InvalidInputError("item", item, "the id of a product in the catalogue is expected")
    vector = index.embeddings([row])[0]
    if vector.any():
        found = index.nearest(vector, count, filters)
        return replace(found, fused=_spread(found.dense))
    notes.append("The item has no vector of this release yet; popular products of its category are shown.")
    category = index.category_codes([row])[0]
    if category >= 0:
        filters = replace(filters, categories=(index.vocabulary("category")[category],))
    return index.popular(count, filters)


def for_taste(
    profile: Profile, session: Taste, count: int, filters: Filters | None, index: LiveIndex
) -> Candidates:
    """Near each interest of the session and of the shopper, and popular in their favourite categories."""
    directions = [taste.interests() for taste in (session, profile.taste) if taste.liked]
    vectors = np.concatenate([np.zeros((0, index.dimension), np.float32), *(one for one, _ in directions)])
    shares = np.concatenate([np.zeros(0, np.float32), *(share for _, share in directions)])
    found = [
        index.nearest(vector, max(count // 4, int(count * share)), filters).rows
        for vector, share in zip(vectors, shares, strict=True)
    ]
    for path in _favourites(profile, index):
        if filters is None or not filters.categories or _within(path, filters.categories):
            narrowed = replace(filters or Filters(), categories=(path,))
            found.append(index.popular(max(1, count // 8), narrowed).rows)
    if not len(vectors):
        found.append(index.popular(count, filters).rows)
    rows = np.unique(np.concatenate(found)).astype(np.int64)
    near = index.embeddings(rows) @ vectors.T if len(vectors) else np.zeros((len(rows), 1), np.float32)
    dense = near.max(axis=1)
    # What the taste was made of lies nearest to it: without these the others share the whole scale.
    new = ~np.isin(rows, np.concatenate([profile.taste.rows, session.rows]))
    return Candidates(rows, dense, np.zeros_like(dense), _spread(dense, new))


def likely_next(
    near: Candidates,
    affinities: Affinities,
    history: History,
    count: int,
    filters: Filters | None,
    index: LiveIndex,
) -> tuple[Candidates, float]:
    """What is likeliest taken next joins what is near to the taste.

    Returns:
        Candidates whose ``fused`` is LEARNT parts log-chance and the rest likeness, both as shares of their
        range (the affinities have learnt from events how much likeness tells, so little is left to it), and
        the share of the personal terms that stay in force: affinities speak for the taste too.
    """
    likely = _present(affinities.likely(history, count)[0], filters, index)
    rows = np.union1d(near.rows, likely).astype(np.int64)
    released = released_rows(rows, index)
    chances = np.log(affinities.chances(history, released) + np.float32(LEAST_CHANCE))
    new = ~np.isin(released, history.rows)
    dense = np.zeros(len(rows), np.float32)
    dense[rows.searchsorted(near.rows)] = near.fused
    fused = np.float32(LEARNT) * _spread(chances, new) + np.float32(1.0 - LEARNT) * dense
    unknown = released >= affinities.count
    fused[unknown] = np.float32(UNKNOWN) * dense[unknown]
    return Candidates(rows, dense, np.zeros_like(dense), fused), 1.0 - LEARNT


def with_followers(
    near: Candidates,
    affinities: Affinities,
    basket: History,
    count: int,
    filters: Filters | None,
    index: LiveIndex,
) -> Candidates:
    """What is taken after or with the items of a basket joins what is like the item."""
    rows, chances = affinities.following(basket)
    rows = rows[np.argsort(-chances, kind="stable")]
    rows = _present(rows[~np.isin(rows, basket.rows)][: count // 2], filters, index)
    rows = rows[~np.isin(rows, near.rows)]
    zeros = np.zeros(len(rows), np.float32)
    return Candidates(
        np.concatenate([near.rows, rows]),
        np.concatenate([near.dense, zeros]),
        np.concatenate([near.lexical, zeros]),
        np.concatenate([near.fused, zeros]),
    )


def _present(released: Rows, filters: Filters | None, index: LiveIndex) -> Rows:
    """The rows that released ones have now; those that are gone or do not pass the filters left out."""
    rows = released
    if index.version:
        # Ids of hidden rows stay readable; what changed lives on under another row.
        current = (index.row(item) for item in index.item_ids(released))
        rows = np.array([row for row in current if row is not None], np.int64)
    return rows[index.passes(rows, filters)] if len(rows) else rows


def _favourites(profile: Profile, index: LiveIndex) -> list[str]:
    order = np.argsort(-profile.categories.shares, kind="stable")[:TOP_CATEGORIES]
    names = index.vocabulary("category")
    return [names[code] for code in profile.categories.codes[order]]


def _within(path: str, roots: Sequence[str]) -> bool:
    folded = path.casefold()
    return any(
        folded == root.casefold() or folded.startswith(root.casefold() + CATEGORY_SEPARATOR) for root in roots
    )


def _spread(scores: Floats, among: npt.NDArray[np.bool_] | None = None) -> Floats:
    """Scores as shares of the range that those ``among`` have: float32 [n] in [0, 1]."""
    spanning = scores if among is None or not among.any() else scores[among]
    if not len(spanning):
        return scores
    low, high = spanning.min(), spanning.max()
    if not high > low:
        return np.ones_like(scores)
    shares: Floats = ((scores - low) / (high - low)).clip(0.0, 1.0)
    return shares
