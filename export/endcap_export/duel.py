"""Two releases on the same held queries: strict entity F1 and nDCG@10, paired by query."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from endcap_export.bio import TaggedQuery
from endcap_export.evaluate import ndcg
from endcap_export.evaluate.bootstrap import estimate
from endcap_export.evaluate.tags import f1
from endcap_export.held import stable_order
from endcap_export.served import Served, entities

FEWEST_SHARED = 50
"""From so many queries on that both releases held out, only these are compared on."""

MOST_FRESH = 500
"""Most products that the running release has not indexed and that are encoded for the comparison."""

Judged = Mapping[str, Mapping[str, float]]


@dataclass(frozen=True)
class Scores:
    """A figure of both releases and the 95% interval of the candidate's minus the running one's.

    The interval is by bootstrap over queries, paired: the same queries are drawn for both.

    Attributes:
        note: what a reader must know besides, as the rest of a sentence.
    """

    candidate: float
    running: float
    low: float
    high: float
    queries: int
    note: str = ""

    @property
    def difference(self) -> float:
        """The candidate's figure less the running release's."""
        return self.candidate - self.running


def tag_both(
    candidate: Served, running: Served, mine: Sequence[TaggedQuery], theirs: Sequence[TaggedQuery]
) -> Scores | str:
    """Strict entity F1 (type and both ends) over the types that both know, micro-averaged.

    Args:
        candidate: the release that would be served.
        running: the release that is served.
        mine: tagged queries that the candidate holds.
        theirs: those of the running release, for a candidate that has none.

    Returns:
        The figures, or in words why there are none.
    """
    by_text = {query.text: query for query in mine or theirs}
    if not by_text:
        return "no held tagged queries, not compared"
    texts, note = _fair(list(by_text), {query.text for query in theirs}, own=bool(mine))
    queries = [by_text[text] for text in texts]
    there = {span[0] for query in queries for span in entities(query.labels)}
    known, running_known = candidate.types, running.types
    if not running_known:
        return "the running release tags no queries, not compared"
    # A candidate without tags loses all that the running release finds.
    types = known & running_known if known else running_known
    if not types & there:
        sets = f"{_listed(known)}; running: {_listed(running_known)}"
        return f"the label sets share no type that occurs ({sets}), not compared"
    if known != running_known:
        note += f", types that both know: {_listed(types)}"
        if lost := running_known - known:
            note += f" (no longer known: {_listed(lost)})"
    return paired(
        candidate.entity_counts(queries, types).astype(np.float64),
        running.entity_counts(queries, types).astype(np.float64),
        note,
    )


def rank_both(candidate: Served, running: Served, mine: Judged, theirs: Judged) -> Scores | str:
    """nDCG@10 of each query's judged products by cosine, with the vectors that the indexes have.

    The gain of grade g is 2^(g - lowest grade) - 1.

    Args:
        candidate: the release that would be served.
        running: the release that is served.
        mine: grades of the queries that the candidate holds.
        theirs: those of the running release, for a candidate that has none.

    Returns:
        The figures, or in words why there are none.
    """
    judged = mine or theirs
    if not judged:
        return "no held judgments, not compared"
    chosen, note = _fair(list(judged), set(theirs), own=bool(mine))
    source = candidate if mine else running
    texts: dict[str, str] = {}
    queries: list[str] = []
    fresh = 0
    for query in chosen:
        new = {item: source.text(item) for item in judged[query] if item not in texts}
        known = {item: text for item, text in new.items() if text is not None}
        other = running if mine else candidate
        fresh += sum(other.text(item) != text for item, text in known.items())
        if fresh > MOST_FRESH:
            note += f", {len(chosen) - len(queries)} left out: over {MOST_FRESH} products to encode"
            break
        texts.update(known)
        queries.append(query)
    lowest = min(grade for query in judged for grade in judged[query].values())
    scores = [_ndcgs(served, queries, judged, texts, lowest) for served in (candidate, running)]
    return paired(scores[0][:, None], scores[1][:, None], note)


def paired(first: npt.NDArray[np.float64], second: npt.NDArray[np.float64], note: str = "") -> Scores:
    """Figures of two systems on the same queries, and the interval of their difference.

    Args:
        first: [Q, 1] a score of each query, whose mean is the figure, or [Q, 3] right, found and there,
            whose F1 over all queries is.
        second: the same of the other system.
        note: kept in the answer.
    """
    difference = estimate(lambda one, other: _figure(one) - _figure(other), first, second)
    own, other = (float(_figure(scores.mean(axis=0))) for scores in (first, second))
    return Scores(own, other, difference.low, difference.high, len(first), note)


def _figure(means: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """The figure of means over queries, [..., 1] or [..., 3] → [...]."""
    return means[..., 0] if means.shape[-1] == 1 else f1(means)


def _fair(held: Sequence[str], of_running: set[str], *, own: bool) -> tuple[list[str], str]:
    """The queries to compare on, and what to say of them.

    Where enough queries were held by both, these: the running release may have learned from the others.
    """
    if not own:
        return stable_order(held), ", those of the running release"
    shared = [query for query in held if query in of_running]
    if len(shared) == len(held):
        return stable_order(held), ""
    if len(shared) >= FEWEST_SHARED:
        return stable_order(shared), " of both releases"
    return stable_order(held), f", {len(held) - len(shared)} of them not held by the running release"


def _ndcgs(
    served: Served, queries: Sequence[str], judged: Judged, texts: Mapping[str, str], lowest: float
) -> npt.NDArray[np.float64]:
    vectors = served.product_vectors(texts)
    scores = []
    for query, vector in zip(queries, served.embed_queries(queries), strict=True):
        # In an order that knows nothing of the grades, which decides between equal cosines.
        items = [item for item in stable_order(judged[query]) if item in texts]
        gains = np.exp2(np.array([judged[query][item] - lowest for item in items], np.float64)) - 1.0
        cosines = np.array([vectors[item] @ vector for item in items])
        scores.append(ndcg(gains[np.argsort(-cosines, kind="stable")]))
    return np.array(scores)


def _listed(types: frozenset[str]) -> str:
    return ", ".join(sorted(types)) or "none"
