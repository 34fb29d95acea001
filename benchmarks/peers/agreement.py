"""Whether the systems give the same answer; none is timed before that is known."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyversity
from endcap_rerank.diversity import STRATEGIES, SimilarityKernel
from endcap_rerank.index import Index, LiveIndex
from endcap_rerank.release import Release

from benchmarks.peers.assets import Floats, embed, nearest
from benchmarks.peers.pipeline import CANDIDATES, DIVERSITY, K

CANDIDATES_AT_LEAST = 0.98
"""Share of the exact nearest products that a system has to find."""

LISTS_AT_LEAST = 0.9
"""Share of the exact list that a peer has to show: a missing candidate moves pyversity's z-scores, and with
them what is chosen, a little."""

PRECISIONS = {"onnx": "int8", "torch": "fp32"}


@dataclass(frozen=True)
class Expected:
    """Of each query: the exactly nearest products, and the list that is chosen among them."""

    candidates: list[list[str]]
    lists: list[list[str]]


@dataclass(frozen=True)
class Agreement:
    """Mean shares of what was expected."""

    candidates: float
    lists: float

    @property
    def refusal(self) -> str:
        """Why the system is not timed; empty where it agrees."""
        if self.candidates < CANDIDATES_AT_LEAST:
            return (
                f"it found {self.candidates:.3f} of the nearest products, {CANDIDATES_AT_LEAST} are demanded"
            )
        if self.lists < LISTS_AT_LEAST:
            return f"its lists share {self.lists:.3f} with the exact ones, {LISTS_AT_LEAST} are demanded"
        return ""


def expected(release: Release, encoder: str, queries: Sequence[str]) -> Expected:
    """By an exact scan with the release's own encoder and pyversity's DPP."""
    index = LiveIndex(Index.open(release.index))
    vectors = np.asarray(index.embeddings(np.arange(len(index))))
    embeddings = embed(release, PRECISIONS[encoder], queries)
    rows = nearest(vectors, embeddings)
    lists = [
        each[pyversity.dpp(vectors[each], vectors[each] @ embedding, K, DIVERSITY).indices]
        for each, embedding in zip(rows, embeddings, strict=True)
    ]
    return Expected([index.item_ids(each) for each in rows], [index.item_ids(each) for each in lists])


def overlap(found: Sequence[Sequence[str]], wanted: Sequence[Sequence[str]]) -> float:
    """Mean share of each wanted list that is in the found one, in whatever order."""
    shares = [len(set(one) & set(other)) / len(other) for one, other in zip(found, wanted, strict=True)]
    return float(np.mean(shares))


def agreement(
    wanted: Expected,
    queries: Sequence[str],
    candidates: Callable[[str], Sequence[str]],
    search: Callable[[str], Sequence[str]],
) -> Agreement:
    """Ask a system for its candidates and its lists and hold them against the exact ones.

    Args:
        candidates, search: query → ids.
    """
    return Agreement(
        overlap([candidates(query) for query in queries], wanted.candidates),
        overlap([search(query) for query in queries], wanted.lists),
    )


def endcap_agreement(release: Release, wanted: Expected, queries: Sequence[str]) -> Agreement:
    """The same of Endcap's parts, with its own vectors and its own DPP, words and tags aside.

    Endcap's whole answer cannot be the peers': it weighs words and tags as well. So its dense retrieval and
    its selection are asked as they are, with the trade-off at which both DPPs are the same one: pyversity's
    weights are exp((1-θ)·z), z the relevance in standard deviations; Endcap's exp((1-θ)/2θ · relevance/unit).
    """
    index = Index.open(release.index)
    live = LiveIndex(index)
    found, lists = [], []
    for embedding in embed(release, "int8", queries):
        rows, scores = index.dense.search(embedding, CANDIDATES)
        chosen = select_alike(live.embeddings(rows), scores)
        found.append(live.item_ids(rows))
        lists.append(live.item_ids(rows[chosen]))
    return Agreement(overlap(found, wanted.candidates), overlap(lists, wanted.lists))


def select_alike(vectors: Floats, scores: Floats) -> npt.NDArray[np.int64]:
    """Positions that Endcap's DPP takes at pyversity's trade-off."""
    unit = float(scores.std()) / (2 * DIVERSITY)
    return STRATEGIES["dpp"](scores, SimilarityKernel(vectors), K, DIVERSITY, unit=unit).rows
