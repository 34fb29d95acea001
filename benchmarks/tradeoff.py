"""What diversity costs in relevance: curves of our strategies and pyversity's, and their picture."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyversity
from endcap_export.metrics import Point, entropy, gain_at_loss, ild, points_above
from endcap_rerank.diversity import STRATEGIES, SimilarityKernel
from endcap_rerank.diversity.order import shown
from endcap_rerank.diversity.topic import on_topic
from endcap_rerank.index import Index, LiveIndex, build_index
from endcap_rerank.scoring import RankingWeights, kernel_groups
from endcap_rerank.selected import RELEVANCE_UNIT

from benchmarks.personal import KnownShop
from benchmarks.relevance import CANDIDATES, Judged, K, ndcg
from benchmarks.untuned import embed
from endcap.demo_shop.judgments import grades
from endcap.reports import Figure

LOSS = 0.01
DRAWS = 300
"""Resamplings of the queries behind an interval."""
OURS = ("dpp", "mmr", "msd", "ssd")
SETTINGS = tuple(step / 25 for step in range(26))
"""Near enough to one another that the straight line between two is the curve, within the noise."""
PEER_SETTINGS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)
QUERIES = 400
"""Queries of the demo shop."""

Floats = npt.NDArray[np.float32]
Doubles = npt.NDArray[np.float64]
Rows = npt.NDArray[np.int64]
Curves = dict[str, "Drawn"]
Points = Mapping[str, Sequence[Point]]
Pick = Callable[["Listed", float], Rows]


@dataclass(frozen=True)
class Listed:
    """The candidates of a query.

    Attributes:
        grades: of each candidate, 0 where it was not judged (Home Depot) or does not fit (demo shop).
        all_grades: of which the ideal list is made.
        missing: grades of judged products that are not among the candidates.
        groups: codes for the kernel, with their weights.
    """

    scores: Floats = field(repr=False)
    embeddings: Floats = field(repr=False)
    grades: Doubles = field(repr=False)
    all_grades: Doubles = field(repr=False)
    missing: Doubles = field(repr=False)
    categories: Rows = field(repr=False)
    groups: tuple[tuple[npt.NDArray[np.int32], float], ...] = field(default=(), repr=False)


Measure = Callable[[Listed, Rows], float]


def judged_first(one: Listed, chosen: Rows) -> float:
    """nDCG@10 of the judged products in the order of the list, the candidates that were not chosen after it.

    A condensed list (Sakai, SIGIR 2007): what nobody judged is neither right nor wrong.
    """
    rest = np.setdiff1d(np.arange(len(one.scores)), chosen)  # candidates come in the order of their scores
    ordered = one.grades[np.concatenate([chosen, rest])]
    return ndcg(np.concatenate([ordered[ordered > 0], one.missing]), one.all_grades)


def unjudged_wrong(one: Listed, chosen: Rows) -> float:
    """nDCG@10 of the list, what nobody judged counting as wrong."""
    return ndcg(one.grades[chosen], one.all_grades)


def distance(one: Listed, chosen: Rows) -> float:
    """ILD of the list."""
    return ild(one.embeddings[chosen])


def mix(one: Listed, chosen: Rows) -> float:
    """Entropy of the list's categories."""
    return entropy(one.categories[chosen].tolist())


def ours(name: str, *, limited: bool = True) -> Pick:
    """A strategy with its kernel, as the ranker applies it: ``limited`` to the candidates on topic."""

    def pick(one: Listed, setting: float) -> Rows:
        near = on_topic(one.scores, K) if limited and setting > 0 else np.arange(len(one.scores))
        groups = [(codes[near], weight) for codes, weight in one.groups]
        kernel = SimilarityKernel(one.embeddings[near], groups)
        scores = one.scores[near]
        found = STRATEGIES[name](scores, kernel, K, setting, unit=RELEVANCE_UNIT)
        chosen: Rows = near[shown(name, found, scores).rows]
        return chosen

    return pick


def pyversitys(name: str) -> Pick:
    """A strategy of pyversity with its defaults, on the same candidates and scores."""
    select = getattr(pyversity, name)

    def pick(one: Listed, setting: float) -> Rows:
        return np.asarray(select(one.embeddings, one.scores, K, setting).indices, np.int64)

    return pick


@dataclass(frozen=True)
class Drawn:
    """What a strategy reaches.

    Attributes:
        relevant, different: float64 [settings, queries].
    """

    settings: Sequence[float]
    relevant: Doubles = field(repr=False)
    different: Doubles = field(repr=False)

    def points(self, shares: Doubles | None = None) -> list[Point]:
        """One point a setting: means over the queries, each of which counts as often as ``shares`` says."""
        means = [np.average(values, axis=1, weights=shares) for values in (self.relevant, self.different)]
        return [
            Point(setting, float(relevance), float(diversity))
            for setting, relevance, diversity in zip(self.settings, *means, strict=True)
        ]

    def interval(self) -> tuple[float, float]:
        """95% bootstrap interval over queries of the gain at LOSS."""
        count = self.relevant.shape[1]
        shares = np.random.default_rng(7).multinomial(count, np.full(count, 1.0 / count), size=DRAWS)
        gains = [gain_at_loss(self.points(one), LOSS) for one in shares]
        low, high = np.percentile(gains, (2.5, 97.5))
        return float(low), float(high)


def curves(
    listed: Sequence[Listed],
    pick: Pick,
    settings: Sequence[float],
    relevances: Sequence[Measure],
    diversity: Measure,
) -> list[Drawn]:
    """For each measure of relevance what a strategy reaches at each setting."""
    relevant = np.empty((len(relevances), len(settings), len(listed)))
    different = np.empty((len(settings), len(listed)))
    for row, setting in enumerate(settings):
        for column, one in enumerate(listed):
            chosen = pick(one, setting)
            different[row, column] = diversity(one, chosen)
            for relevance, values in zip(relevances, relevant, strict=True):
                values[row, column] = relevance(one, chosen)
    return [Drawn(settings, values, different) for values in relevant]


def home_depot_lists(index: LiveIndex, judged: Sequence[Judged]) -> list[Listed]:
    """The candidates of every query with at least two judged products."""
    listed = []
    for one in judged:
        if len(one.rows) < 2:
            continue
        found = index.retrieve(one.query, one.vector, count=CANDIDATES)
        given = dict(zip(one.rows.tolist(), one.grades.tolist(), strict=True))
        known = np.array([given.get(row, 0.0) for row in found.rows.tolist()])
        missing = np.array([grade for row, grade in given.items() if row not in set(found.rows.tolist())])
        unknown = np.full(len(found), -1)
        vectors = index.embeddings(found.rows)
        listed.append(Listed(found.fused, vectors, known, one.grades, missing, unknown))
    return listed


def demo_lists(seed: int, products: int) -> list[Listed]:
    """The candidates of queries of the demo shop, whose every product is graded by the shop's own law."""
    shop = KnownShop.make(seed, products=products, shoppers=10)
    goods = [article.product for article in shop.articles]
    queries = shop.queries[:QUERIES]
    vectors = embed([query.text for query in queries], queries=True)
    weights = RankingWeights()
    listed = []
    with tempfile.TemporaryDirectory(prefix="endcap-mix-") as name:
        build_index(Path(name), goods, embed([one.encoder_text() for one in goods]), encoder_id="minilm")
        index = LiveIndex(Index.open(Path(name)))
        for query, vector in zip(queries, vectors, strict=True):
            fits = np.asarray(grades(shop.truth, query.wants), np.float64)
            if fits.max() <= 0:
                continue
            found = index.retrieve(query.text, vector, count=CANDIDATES)
            brands, categories = index.brand_codes(found.rows), index.category_codes(found.rows)
            groups = tuple(kernel_groups(found.rows, brands, categories, index, weights))
            known = fits[found.rows]
            listed.append(
                Listed(
                    found.fused,
                    index.embeddings(found.rows),
                    known,
                    fits,
                    np.zeros(0),
                    categories.astype(np.int64),
                    groups,
                )
            )
    return listed


def measure(
    index: LiveIndex, judged: Sequence[Judged], picture: Path, *, seed: int, products: int
) -> dict[str, Figure]:
    """``ild_gain_at_1pct``, ``entropy_gain_at_1pct``, ``pyversity_points_above`` and the picture."""
    listed = home_depot_lists(index, judged)
    kind: Curves = {}
    strict: Curves = {}
    whole: Curves = {}
    peers: Curves = {}
    for name in OURS:
        kind[name], strict[name] = curves(
            listed, ours(name), SETTINGS, (judged_first, unjudged_wrong), distance
        )
        (whole[name],) = curves(listed, ours(name, limited=False), SETTINGS, (unjudged_wrong,), distance)
        (peers[name],) = curves(listed, pyversitys(name), PEER_SETTINGS, (unjudged_wrong,), distance)
    figures = {
        "ild_gain_at_1pct": _gain(kind, ">= 0.2"),
        "ild_gain_unjudged_wrong": _gain(strict, ""),
    }
    own = [one.points() for one in (*strict.values(), *whole.values())]
    above = {f"pyversity {name}": float(points_above(one.points(), own)) for name, one in peers.items()}
    figures["pyversity_points_above"] = Figure(sum(above.values()), goal="= 0", baselines=above)
    shop = demo_lists(seed, products)
    mixed = {name: curves(shop, ours(name), SETTINGS, (unjudged_wrong,), mix)[0] for name in OURS}
    figures["entropy_gain_at_1pct"] = _gain(mixed, ">= 0.3")
    draw(picture, *({name: one.points() for name, one in drawn.items()} for drawn in (strict, peers, mixed)))
    return figures


def draw(file: Path, ours: Points, peers: Points, shop: Points) -> None:
    """The curves as a picture: Home Depot beside pyversity, and the demo shop."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, (left, right) = pyplot.subplots(1, 2, figsize=(13, 5.5))
    for number, (name, points) in enumerate(ours.items()):
        colour = f"C{number}"
        left.plot(
            [p.diversity for p in points], [p.relevance for p in points], "o-", ms=3, c=colour, label=name
        )
        theirs = peers[name]
        left.plot(
            [p.diversity for p in theirs],
            [p.relevance for p in theirs],
            "x:",
            c=colour,
            label=f"pyversity {name}",
        )
    left.set(title="Home Depot dev", xlabel="ILD of the first 10", ylabel="nDCG@10, unjudged as wrong")
    for number, (name, points) in enumerate(shop.items()):
        right.plot(
            [p.diversity for p in points],
            [p.relevance for p in points],
            "o-",
            ms=3,
            c=f"C{number}",
            label=name,
        )
    right.set(title="demo shop", xlabel="entropy of categories in the first 10, bits", ylabel="nDCG@10")
    for axes in (left, right):
        axes.legend(fontsize=8)
        axes.grid(alpha=0.3)
    file.parent.mkdir(parents=True, exist_ok=True)
    figure.tight_layout()
    figure.savefig(file, dpi=120)
    pyplot.close(figure)


def _gain(curves: Curves, goal: str) -> Figure:
    gains = {name: gain_at_loss(drawn.points(), LOSS) for name, drawn in curves.items()}
    best = max(gains, key=lambda name: gains[name])
    low, high = curves[best].interval()
    return Figure(gains[best], low=low, high=high, goal=goal, baselines=gains)
