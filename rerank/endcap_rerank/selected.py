"""The list of an answer: which of the scored candidates, in which order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from endcap_rerank.diversity import STRATEGIES, Calibration, Cap, Exploration, Share, SimilarityKernel
from endcap_rerank.diversity.order import shown
from endcap_rerank.diversity.topic import on_topic
from endcap_rerank.exposure import ExposureShare
from endcap_rerank.index import LiveIndex
from endcap_rerank.options import Options, WindowCap
from endcap_rerank.pool import Pool
from endcap_rerank.requests import RecommendRequest, SearchRequest
from endcap_rerank.scoring import RankingWeights, Scored, kernel_groups

RELEVANCE_UNIT = 0.5
"""Difference of scores that strategies weigh as one. Queries differ in how far apart their candidates are;
one unit for all buys more difference for the same nDCG than one for each (docs/ranking.md)."""

NEW_DAYS = 30
"""How long a product counts as new."""


@dataclass(frozen=True)
class Selected:
    """The products of the answer, best first.

    Attributes:
        positions: int64 [at most k] in the scored candidates.
        exceeded: names of the caps, and of the limits of shares, that could not be kept.
        missed: names of the guaranteed shares that could not be kept.
    """

    positions: npt.NDArray[np.int64]
    exceeded: tuple[str, ...] = ()
    missed: tuple[str, ...] = ()


def select(
    request: SearchRequest | RecommendRequest,
    pool: Pool,
    scored: Scored,
    index: LiveIndex,
    weights: RankingWeights,
) -> Selected:
    """At most k candidates by score, likeness to one another, caps and rules."""
    options = request.options
    buried = _buried(options, pool, index)
    if buried is None:
        return _near_topic(request, pool, scored, np.arange(len(scored)), index, weights)
    # Buried products come after every other one, whatever diversity would gain by them.
    upper = _near_topic(request, pool, scored, np.flatnonzero(~buried), index, weights)
    missing = request.k - len(upper.positions)
    if missing <= 0:
        return upper
    lower = np.flatnonzero(buried)
    lower = lower[np.argsort(-scored.scores[lower], kind="stable")][:missing]
    return replace(upper, positions=np.concatenate([upper.positions, lower]))


def _buried(options: Options, pool: Pool, index: LiveIndex) -> npt.NDArray[np.bool_] | None:
    rows = [row for item in options.bury if (row := index.row(item)) is not None]
    if not rows:
        return None
    buried = np.isin(pool.rows, rows)
    buried[list(pool.pins)] = False
    return buried


def _near_topic(
    request: SearchRequest | RecommendRequest,
    pool: Pool,
    scored: Scored,
    among: npt.NDArray[np.int64],
    index: LiveIndex,
    weights: RankingWeights,
) -> Selected:
    """Select among the candidates that are on topic; among all where the rules need more.

    A shopper's recommendations have no topic that they could leave.
    """
    options, caps = request.options, _caps(request.options, scored, index)
    if request.diversity > 0.0 and pool.source in ("search", "item") and not options.explore > 0.0:
        near = np.zeros(len(scored), bool)
        near[among[on_topic(scored.scores[among], request.k)]] = True
        near[list(pool.pins)] = True  # they are among them: a pin is never buried
        nearest = among[near[among]]
        if all(cap.among(nearest).room() >= request.k for cap in caps):
            found = _diverse(request, pool, scored, nearest, caps, index, weights, strict=True)
            if len(found.positions) == min(request.k, len(nearest)) and not found.missed:
                return found
    return _diverse(request, pool, scored, among, caps, index, weights)


def _caps(options: Options, scored: Scored, index: LiveIndex) -> list[Cap]:
    """The caps of a request, on all candidates."""
    caps = []
    for name, cap in options.caps.items():
        if name == "top_category":
            codes = index.top_category_codes(scored.rows)
        else:
            codes = scored.brands if name == "brand" else scored.categories
        limit, window = (cap.limit, cap.window) if isinstance(cap, WindowCap) else (cap, None)
        caps.append(Cap(name, codes, limit, window))
    return caps


def _diverse(
    request: SearchRequest | RecommendRequest,
    pool: Pool,
    scored: Scored,
    among: npt.NDArray[np.int64],
    caps: list[Cap],
    index: LiveIndex,
    weights: RankingWeights,
    *,
    strict: bool = False,
) -> Selected:
    k, whole = request.k, len(among) == len(scored)
    brands, categories = scored.brands, scored.categories
    scores, embeddings = scored.scores, scored.embeddings
    pins: Sequence[int] = pool.pins
    if not whole:
        brands, categories = brands[among], categories[among]
        scores, embeddings = scores[among], embeddings.take(among, axis=0)  # of rows quicker than [among]
        pins = among.searchsorted(np.array(pins, np.int64)).tolist()
        caps = [cap.among(among) for cap in caps]
    kernel = SimilarityKernel(
        embeddings, kernel_groups(scored.rows[among], brands, categories, index, weights)
    )
    options = request.options
    shares = [
        Share(one.name, _of_group(one, scored.rows[among], brands, index), one.min_share, one.max_share)
        for one in options.exposure
    ]
    calibration: Calibration | None = None
    exploration: Exploration | None = None
    if options.calibrate > 0.0 and pool.profile.known:
        tastes = pool.profile.categories.of(categories)
        calibration = Calibration(categories, tastes, options.calibrate * pool.openness)
    if options.explore > 0.0:
        exploration = Exploration(_new(scored.rows[among], index), options.explore)
    selection = STRATEGIES[options.algorithm](
        scores,
        kernel,
        k,
        request.diversity * pool.openness if options.adapt_diversity else request.diversity,
        caps=caps,
        first=pins[:k],
        calibration=calibration,
        exploration=exploration,
        shares=shares,
        unit=RELEVANCE_UNIT,
        strict=strict,
    )
    selection = shown(
        options.algorithm,
        selection,
        scores,
        caps=caps,
        pinned=len(pins[:k]),
        exploration=exploration,
        shares=shares,
    )
    return Selected(among[selection.rows], selection.exceeded, selection.missed)


def _of_group(
    share: ExposureShare,
    rows: npt.NDArray[np.int64],
    brands: npt.NDArray[np.int32],
    index: LiveIndex,
) -> npt.NDArray[np.bool_]:
    """Which of ``rows`` [n] a share is of."""
    if share.attribute != "brand":
        return index.having(rows, share.attribute, share.value)
    code = index.code("brand", share.value)
    return brands == code if code >= 0 else np.zeros(len(rows), bool)


def _new(rows: npt.NDArray[np.int64], index: LiveIndex) -> npt.NDArray[np.bool_]:
    """Which products had little chance yet: made in the last NEW_DAYS before the newest candidate, or
    rated by nobody. The candidates' own dates and not the clock, so that a request has one answer.
    """
    made = index.created_at(rows)
    newest = np.nanmax(made, initial=-np.inf, where=~np.isnan(made))
    new: npt.NDArray[np.bool_] = (made >= newest - NEW_DAYS * 86_400.0) | (index.popularity(rows) <= 0.0)
    return new
