"""What a shopper's latest events say of their taste."""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from endcap_rerank.affinities import NO_HISTORY, History, history_of
from endcap_rerank.errors import StoreError
from endcap_rerank.events import EventStore, Interaction
from endcap_rerank.index import LiveIndex
from endcap_rerank.price_class import PriceTaste, price_taste
from endcap_rerank.schema import EVENT_WEIGHTS

HALF_LIFE = 60 * 24 * 3600.0
"""Seconds in which an event's weight halves."""

HALF_RANK = 50.0
"""Events in which it halves as well: a shop whose timestamps are coarse still tells late from early."""

ANCHORS = 32
"""Most items that stand for a taste."""

SESSION_FADE = 0.8
"""Weight of a session's item against that of the next one."""

REFUSAL = 0.5
"""Weight of a refused item against that of the last one looked at: perhaps only its price was wrong."""

INTERESTS = 3
"""Most directions into which a taste is split when products are recommended without a query."""

_log = logging.getLogger(__name__)
_SAME_INTEREST = 0.6
_CACHED = 1024

Floats = npt.NDArray[np.float32]
Rows = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Taste:
    """Items that a shopper was drawn to or put off by.

    Attributes:
        rows: int64 [m], heaviest first.
        weights: float32 [m], negative for dislike; the magnitudes sum to 1 (or m is 0).
        vectors: float32 [m, D].
    """

    rows: Rows
    weights: Floats
    vectors: Floats

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def liked(self) -> bool:
        """Whether any item draws the shopper: what puts them off tells where not to look, not where to."""
        return bool((self.weights > 0.0).any())

    def interests(self) -> tuple[Floats, Floats]:
        """The liked items as at most INTERESTS directions.

        The heaviest item leads an interest and gathers the items near it; the next one that is left
        leads another. One mean over shoes and drills would lie near neither.

        Returns:
            Unit vectors float32 [i, D] and their shares of the weight float32 [i], heaviest leader first.
        """
        liked = np.flatnonzero(self.weights > 0.0)
        vectors: list[Floats] = []
        shares: list[float] = []
        while len(liked) and len(vectors) < INTERESTS:
            near = self.vectors[liked] @ self.vectors[liked[0]] >= _SAME_INTEREST
            near[0] = True
            members = liked[near]
            mean = self.weights[members] @ self.vectors[members]
            norm = float(np.linalg.norm(mean))
            if norm > 0.0:
                vectors.append(mean / np.float32(norm))
                shares.append(float(self.weights[members].sum()))
            liked = liked[~near]
        if not vectors:
            return np.zeros((0, self.vectors.shape[1]), np.float32), np.zeros(0, np.float32)
        total = sum(shares)
        return np.stack(vectors), np.array([share / total for share in shares], np.float32)


@dataclass(frozen=True)
class Shares:
    """How a shopper's liked events spread over codes (of brands, of categories).

    Attributes:
        codes: int64 [m], ascending.
        shares: float32 [m]; a code's weight over all weight plus SMOOTHING, below 1.
    """

    codes: Rows
    shares: Floats

    def of(self, codes: npt.NDArray[np.int32]) -> Floats:
        """The share of each code; 0 for codes the shopper never touched, and for -1."""
        if not len(self.codes):
            return np.zeros(len(codes), np.float32)
        at = np.minimum(self.codes.searchsorted(codes), len(self.codes) - 1)
        found: Floats = np.where(self.codes[at] == codes, self.shares[at], np.float32(0.0))
        return found


SMOOTHING = 2.0
"""Weight of events that a shopper must have before half of their shares is believed."""


@dataclass(frozen=True)
class Profile:
    """A shopper, as ranking sees one.

    Attributes:
        strength: summed magnitude of the items' weights, decayed; 0 when nothing is known of the shopper.
        taste: the items behind it.
        brands, categories: shares of the liked events by brand and by full category path.
        bought: rows of the products the shopper purchased.
        prices: how dear the brands are that the shopper chooses; None where no price is known.
        history: what the shopper took, latest first.
        repriced: whether a liked product is not as it was released: its price level is that of today.
    """

    strength: float
    taste: Taste
    brands: Shares
    categories: Shares
    bought: Rows
    prices: PriceTaste | None = None
    history: History = NO_HISTORY
    repriced: bool = False

    @property
    def known(self) -> bool:
        """Whether there is anything to personalize by."""
        return len(self.taste) > 0


def build_profile(taken: Sequence[Interaction], index: LiveIndex) -> Profile:
    """Compute a profile.

    An item weighs sign(s)·log(1 + |s|), s = Σ EVENT_WEIGHTS[event]·2^(-age / HALF_LIFE)·2^(-rank / HALF_RANK)
    over its events. Age counts from the shopper's latest event, not from now, so that a profile depends on
    nothing but the events and the catalogue.

    Args:
        taken: newest first. Events of products that the catalogue does not hold are left out.
    """
    if not taken:
        return empty_profile(index.dimension)
    latest = taken[0][2]
    sums: dict[str, float] = {}
    bought_ids: set[str] = set()
    for rank, (item, event, timestamp) in enumerate(taken):
        fade = 2.0 ** (-max(0.0, latest - timestamp) / HALF_LIFE - rank / HALF_RANK)
        sums[item] = sums.get(item, 0.0) + EVENT_WEIGHTS.get(event, 0.0) * fade
        if event == "purchase":
            bought_ids.add(item)
    rows: list[int] = []
    weights: list[float] = []
    bought: list[int] = []
    for (item, total), row in zip(sums.items(), index.rows(sums), strict=True):
        if row is None:
            continue
        if total != 0.0:
            rows.append(row)
            weights.append(total)
        if item in bought_ids:
            bought.append(row)
    return _profile(
        np.array(rows, np.int64),
        np.array(weights, np.float32),
        np.array(sorted(bought), np.int64),
        history_of(taken, index),
        index,
    )


def session_taste(items: Sequence[str], index: LiveIndex, refused: Sequence[str] = ()) -> Taste:
    """The taste of a session.

    Args:
        items: ids the shopper looked at, latest last; unknown ids are left out.
        refused: ids the shopper turned down, latest last; they weigh against what is like them, also where
            the shopper had looked at them before.
    """
    weights: dict[int, float] = {}
    for ids, sign in ((refused, -REFUSAL), (items, 1.0)):
        known = [row for item in reversed(ids) if (row := index.row(item)) is not None]
        for place, row in enumerate(known[:ANCHORS]):
            weights.setdefault(row, sign * SESSION_FADE**place)
    return _taste(np.array(list(weights), np.int64), np.array(list(weights.values()), np.float32), index)


def empty_profile(dimension: int) -> Profile:
    """The profile of a shopper of whom nothing is known."""
    nothing = Shares(np.zeros(0, np.int64), np.zeros(0, np.float32))
    return Profile(0.0, empty_taste(dimension), nothing, nothing, np.zeros(0, np.int64))


def empty_taste(dimension: int) -> Taste:
    """A taste without items."""
    return Taste(np.zeros(0, np.int64), np.zeros(0, np.float32), np.zeros((0, dimension), np.float32))


@dataclass(frozen=True)
class _Kept:
    """A profile without its vectors, and what it was made of."""

    stamp: Hashable
    digest: int
    state: Hashable
    profile: Profile


class Profiles:
    """Profiles of shoppers by the events that the store holds at this moment.

    The events are read for every request, unless the store tells that they are the same: what any process
    acknowledged counts at once. What is computed from them is kept as long as neither they nor what the
    catalogue says of their products change.
    """

    def __init__(self, store: EventStore, index: LiveIndex, *, limit: int) -> None:
        self._store = store
        self._index = index
        self._limit = limit
        self._cache: OrderedDict[str, _Kept] = OrderedDict()
        self._readable = True

    def of(self, user: str) -> Profile:
        """The shopper's profile; the empty one for an anonymous or unknown shopper.

        Raises:
            StoreError: the events cannot be read.
        """
        index = self._index
        if not user:
            return empty_profile(index.dimension)
        kept = self._cache.get(user)
        if kept is not None and kept.state != _state(index, kept.profile):
            kept = None
        stamp, events = self._read(user, None if kept is None else kept.stamp)
        if kept is None or events is not None:
            if not events:
                self._cache.pop(user, None)  # a forgotten shopper
                return empty_profile(index.dimension)
            digest = hash(tuple(events))
            if kept is None or kept.digest != digest:
                profile = build_profile(events, index)
                # Vectors are ten times the rest, and lie in the index.
                bare = replace(profile.taste, vectors=empty_taste(index.dimension).vectors)
                kept = _Kept(stamp, digest, _state(index, profile), replace(profile, taste=bare))
            self._cache[user] = kept = replace(kept, stamp=stamp)
            if len(self._cache) > _CACHED:
                self._cache.popitem(last=False)
        self._cache.move_to_end(user)
        taste = kept.profile.taste
        return replace(kept.profile, taste=replace(taste, vectors=index.embeddings(taste.rows)))

    def _read(self, user: str, known: Hashable) -> tuple[Hashable, list[Interaction] | None]:
        """The store's stamp, and the shopper's events unless it is the one that is ``known``."""
        try:
            stamp = self._store.stamp()
            same = stamp is not None and stamp == known
            events = None if same else self._store.interactions(user, self._limit)
        except StoreError as error:
            if self._readable:  # once, not with every request
                _log.warning("no personalization until the events can be read again: %s", error)
            self._readable = False
            raise
        if not self._readable:
            _log.warning("the events can be read again")
        self._readable = True
        return stamp, events


def _state(index: LiveIndex, profile: Profile) -> Hashable:
    """What of the catalogue a profile depends on: which products there are, and prices of changed ones.

    The price level of a released product is that of its release.
    """
    return index.version if profile.repriced else index.moves


def _profile(rows: Rows, sums: Floats, bought: Rows, history: History, index: LiveIndex) -> Profile:
    liked = sums > 0.0
    weights = np.sign(sums) * np.log1p(np.abs(sums))
    taste = _taste(rows, weights, index)
    return Profile(
        strength=float(np.abs(sums).sum()),
        taste=taste,
        brands=_shares(index.brand_codes(rows[liked]), sums[liked]),
        categories=_shares(index.category_codes(rows[liked]), sums[liked]),
        bought=bought,
        prices=price_taste(rows[liked], weights[liked], index),
        history=history,
        repriced=bool((rows[liked] >= index.index.count).any()),
    )


def _taste(rows: Rows, weights: Floats, index: LiveIndex) -> Taste:
    if not len(rows):
        return empty_taste(index.dimension)
    order = np.argsort(-np.abs(weights), kind="stable")[:ANCHORS]
    kept = weights[order]
    return Taste(rows[order], kept / np.abs(kept).sum(), index.embeddings(rows[order]))


def _shares(codes: npt.NDArray[np.int32], weights: Floats) -> Shares:
    known = codes >= 0
    found, places = np.unique(codes[known], return_inverse=True)
    sums = np.bincount(places, weights=weights[known], minlength=len(found))
    shares = sums / (float(weights.sum()) + SMOOTHING)
    return Shares(found.astype(np.int64), shares.astype(np.float32))
