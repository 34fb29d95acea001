"""The next purchase of each Office shopper, among all products that the shopper does not have yet."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from endcap_export.affinities import learn_for_index
from endcap_export.data import read_events, read_products
from endcap_rerank.affinities import LATEST, History
from endcap_rerank.errors import EndcapError
from endcap_rerank.events_store import Event, SqliteEventStore
from endcap_rerank.index import Index, build_index
from endcap_rerank.product import Product
from endcap_rerank.ranker import EVENTS_FILE, Ranker
from endcap_rerank.release import INDEX_DIR
from endcap_rerank.requests import RecommendRequest
from endcap_rerank.scoring import RankingWeights
from endcap_rerank.settings import Settings
from scipy import sparse

from benchmarks.untuned import draft_release, embed

K = 20

Lists = npt.NDArray[np.int64]
"""int64 [shoppers, K] rows, -1 where a list is shorter."""


@dataclass(frozen=True)
class Office:
    """Histories, oldest first.

    Attributes:
        histories: shopper → rows of ``products``.
    """

    products: Sequence[Product] = field(repr=False)
    histories: Mapping[str, Sequence[int]] = field(repr=False)

    @classmethod
    def read(cls, folder: Path) -> Office:
        """Read ``products.jsonl`` and ``events.csv``."""
        products = read_products(folder / "products.jsonl").rows
        rows = {product.id: row for row, product in enumerate(products)}
        histories: dict[str, list[int]] = {}
        for event in sorted(read_events(folder / "events.csv").rows, key=lambda event: event.timestamp):
            histories.setdefault(event.user, []).append(rows[event.item])
        return cls(products, histories)

    def before(self, last: int) -> list[list[int]]:
        """Every history without its ``last`` events."""
        return [list(history[:-last]) for history in self.histories.values()]

    def targets(self, last: int) -> npt.NDArray[np.int64]:
        """The first event after ``before(last)``."""
        return np.array([history[-last] for history in self.histories.values()])


@dataclass(frozen=True)
class Quality:
    """Recall@20 and nDCG@20 of one held-out item a shopper: float64 [shoppers] each."""

    recall: npt.NDArray[np.float64]
    ndcg: npt.NDArray[np.float64]

    @classmethod
    def of(cls, lists: Lists, targets: npt.NDArray[np.int64]) -> Quality:
        """Hold lists against what was taken next: nDCG is 1 / log2(rank + 1), the ideal being rank 1."""
        hits = lists == targets[:, None]
        found = hits.any(axis=1)
        return cls(found.astype(float), np.where(found, 1.0 / np.log2(hits.argmax(axis=1) + 2.0), 0.0))

    @property
    def means(self) -> tuple[float, float]:
        """Mean recall and mean nDCG."""
        return float(self.recall.mean()), float(self.ndcg.mean())


def office_ranker(
    office: Office, last: int, folder: Path, *, weights: RankingWeights | None = None
) -> Ranker:
    """A ranker that knows every history but its ``last`` events, affinities learnt from them included."""
    vectors = embed([product.encoder_text() for product in office.products])
    counts = np.bincount(np.concatenate(office.before(last)), minlength=len(office.products))
    build_index(folder / INDEX_DIR, office.products, vectors, encoder_id="minilm", interactions=counts)
    ids = [product.id for product in office.products]
    events = [
        Event(user, ids[row], "purchase", float(place))
        for user, history in zip(office.histories, office.before(last), strict=True)
        for place, row in enumerate(history)
    ]
    release = draft_release(folder)
    store = SqliteEventStore(folder / EVENTS_FILE)
    store.import_events(events)
    learn_for_index(Index.open(release.index), release.id, store.every(), folder)
    ranker = Ranker.open(release, Settings(state=folder))
    if weights is not None:
        ranker.weights = weights
    return ranker


def answered(ranker: Ranker, office: Office, last: int) -> Lists:
    """The answers of a ranker: int64 [shoppers, K] rows."""
    ids = [product.id for product in office.products]
    rows = {item: row for row, item in enumerate(ids)}
    lists = np.full((len(office.histories), K), -1)
    for place, (user, history) in enumerate(zip(office.histories, office.before(last), strict=True)):
        options = json.dumps({"exclude": [ids[row] for row in history]})
        ranked = ranker.recommend(RecommendRequest.validated(user=user, k=K, diversity=0.0, options=options))
        lists[place, : len(ranked.item_ids)] = [rows[item] for item in ranked.item_ids]
    return lists


def likely_lists(ranker: Ranker, office: Office, last: int) -> Lists:
    """What the affinities of an ``office_ranker`` alone say: int64 [shoppers, K] rows."""
    affinities = ranker.affinities
    if affinities is None:
        raise EndcapError("nothing was learnt from the Office histories")
    lists = np.full((len(office.histories), K), -1)
    for place, history in enumerate(office.before(last)):
        latest = History(np.array(history[::-1][:LATEST]), np.ones(min(len(history), LATEST), np.float32))
        rows, _ = affinities.likely(latest, K + len(history))
        rows = rows[~np.isin(rows, history)][:K]
        lists[place, : len(rows)] = rows
    return lists


# What runs beside it ---------------------------------------------------------------------------------

Settable = Mapping[str, Any]


def peers() -> dict[str, tuple[Callable[..., Lists], Sequence[Settable]]]:
    """Name → how it recommends, and the settings among which the tuning event chooses."""
    return {
        "popularity": (_popular, ({},)),
        "itemknn": (
            _knn,
            tuple({"neighbours": n, "kind": kind} for n in (20, 100, 300) for kind in ("cosine", "tfidf")),
        ),
        "bpr": (_bpr, tuple({"factors": f, "iterations": 150} for f in (32, 64, 128))),
        "als": (_als, tuple({"factors": f, "alpha": a} for f in (32, 64, 128) for a in (1.0, 10.0))),
        "ease": (_ease, tuple({"l2": l2} for l2 in (20.0, 50.0, 100.0, 200.0, 500.0))),
    }


def tuned(recommend: Callable[..., Lists], settings: Sequence[Settable], office: Office) -> Settable:
    """The settings whose nDCG on the tuning event is best: trained on all but the last two events."""
    if len(settings) == 1:
        return settings[0]
    matrix, targets = _matrix(office, 2), office.targets(2)
    return max(settings, key=lambda chosen: Quality.of(recommend(matrix, **chosen), targets).means[1])


def peer_lists(recommend: Callable[..., Lists], settings: Settable, office: Office) -> Lists:
    """Lists of a peer trained on all but the last event."""
    return recommend(_matrix(office, 1), **settings)


def _matrix(office: Office, last: int) -> sparse.csr_matrix:
    histories = office.before(last)
    rows = np.repeat(np.arange(len(histories)), [len(history) for history in histories])
    columns = np.concatenate(histories)
    ones = np.ones(len(rows), np.float32)
    return sparse.csr_matrix((ones, (rows, columns)), (len(histories), len(office.products)))


def _best(scores: npt.NDArray[Any], matrix: sparse.csr_matrix) -> Lists:
    scores = np.array(scores, np.float64)
    scores[matrix.nonzero()] = -np.inf
    return np.argsort(-scores, axis=1, kind="stable")[:, :K]


def _popular(matrix: sparse.csr_matrix) -> Lists:
    counts = np.asarray(matrix.sum(axis=0)).ravel()
    return _best(np.tile(counts, (matrix.shape[0], 1)), matrix)


def _ease(matrix: sparse.csr_matrix, *, l2: float) -> Lists:
    gram = (matrix.T @ matrix).toarray().astype(np.float64)
    gram[np.diag_indices_from(gram)] += l2
    inverse = np.linalg.inv(gram)
    weights = -inverse / np.diag(inverse)
    np.fill_diagonal(weights, 0.0)
    return _best(matrix @ weights, matrix)


def _knn(matrix: sparse.csr_matrix, *, neighbours: int, kind: str) -> Lists:
    from implicit.nearest_neighbours import CosineRecommender, TFIDFRecommender

    model = {"cosine": CosineRecommender, "tfidf": TFIDFRecommender}[kind](K=neighbours)
    return _fitted(model, matrix)


def _bpr(matrix: sparse.csr_matrix, *, factors: int, iterations: int) -> Lists:
    from implicit.bpr import BayesianPersonalizedRanking

    model = BayesianPersonalizedRanking(
        factors=factors, iterations=iterations, learning_rate=0.05, random_state=7
    )
    return _fitted(model, matrix)


def _als(matrix: sparse.csr_matrix, *, factors: int, alpha: float) -> Lists:
    from implicit.als import AlternatingLeastSquares

    model = AlternatingLeastSquares(factors=factors, alpha=alpha, iterations=20, random_state=7)
    return _fitted(model, matrix)


def _fitted(model: Any, matrix: sparse.csr_matrix) -> Lists:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that it converts its own intermediate matrices
        model.fit(matrix, show_progress=False)
    shoppers = np.arange(matrix.shape[0])
    found: Lists = model.recommend(shoppers, matrix, N=K, filter_already_liked_items=True)[0].astype(np.int64)
    return found
