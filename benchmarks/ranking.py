"""Quality of ranking: the next item of real histories, and personalization where tastes are known."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
from endcap_rerank.errors import EndcapError

from benchmarks import next_item, personal
from benchmarks.next_item import Office, Quality
from endcap.reports import Figure, Report

SEED = 7
TUNING_SEED = 11
"""The shop on which the default weights were chosen; the report is of another, SEED."""

Values = npt.NDArray[np.float64]


def measure(
    data: Path,
    *,
    products: int = 5000,
    shoppers: int = 400,
    progress: Callable[[str], None] = lambda stage: None,
) -> Report:
    """The figures of ``ranking.json`` that are about shoppers.

    Args:
        data: folder of the data sets; ``office`` is used.
        products, shoppers: size of the demo shop.
        progress: told what is done now.

    Raises:
        EndcapError: the data or a library of the ``bench`` extra is not there.
    """
    if not (data / "office").is_dir():
        raise EndcapError(f"{data / 'office'} is not there; ENDCAP_DATA names the folder of the data sets")
    figures = {**office_figures(Office.read(data / "office"), progress)}
    figures.update(personal_figures(products, shoppers, progress))
    notes = (
        "Office: for every shopper the last event is the test and the last but one the tuning event. All "
        "settings were chosen on the tuning event after training on all but the last two events: of Endcap "
        "by EM within endcap_export.affinities, which always holds out the last event it is given, of the "
        "peers by the best nDCG@20 of a small grid. Then each was trained on all but the last event and "
        "asked for 20 products that the shopper does not have. Endcap's list is the answer of "
        "Ranker.recommend at diversity 0, with embeddings of the packaged MiniLM, not fine-tuned; "
        "`affinities alone` is Affinities.likely without the ranker's other terms. Intervals: 95% bootstrap "
        "over shoppers, 1,000 draws. office_*_lead is the difference to the best peer with its paired "
        f"interval. Demo shop (seed {SEED}, {products} products, {shoppers} shoppers; default weights chosen "
        f"on seed {TUNING_SEED}): gain of a product = (2^grade - 1)·P(this shopper clicks it by the shop's "
        "own law of hidden tastes), grades of the whole catalogue by the law behind judgments.csv, ideal "
        f"list over all products; {personal.QUERIES_A_SHOPPER} queries a shopper in their departments, "
        "diversity 0, untuned MiniLM without tags. cold_ndcg_change: shoppers without any event; beside it "
        "those of whom one event is known."
    )
    return Report("ranking", figures, notes)


def office_figures(office: Office, progress: Callable[[str], None]) -> dict[str, Figure]:
    """``office_recall20`` and ``office_ndcg20`` with the peers beside them."""
    targets = office.targets(1)
    progress("Office: affinities")
    with tempfile.TemporaryDirectory(prefix="endcap-office-") as folder:
        ranker = next_item.office_ranker(office, 1, Path(folder))
        ours = Quality.of(next_item.answered(ranker, office, 1), targets)
        alone = Quality.of(next_item.likely_lists(ranker, office, 1), targets)
    peers = {"affinities alone": alone}
    best: Quality | None = None
    for name, (recommend, settings) in next_item.peers().items():
        progress(f"Office: {name}")
        chosen = next_item.tuned(recommend, settings, office)
        peers[name] = Quality.of(next_item.peer_lists(recommend, chosen, office), targets)
        if best is None or peers[name].means[1] > best.means[1]:
            best = peers[name]
    figures = {}
    for metric, goal in (("recall", 0.16), ("ndcg", 0.085)):
        values = getattr(ours, metric)
        beside = {name: float(getattr(peer, metric).mean()) for name, peer in peers.items()}
        figures[f"office_{metric}20"] = _mean(values, f">= {goal}", beside)
        if best is not None:
            figures[f"office_{metric}20_lead"] = _mean(values - getattr(best, metric), "> 0", {})
    return figures


def personal_figures(products: int, shoppers: int, progress: Callable[[str], None]) -> dict[str, Figure]:
    """``personal_ndcg_gain``, ``cold_ndcg_change`` and ``explanation_max_error`` on the demo shop."""
    progress("demo shop: events, vectors, affinities")
    shop = personal.KnownShop.make(SEED, products=products, shoppers=shoppers)
    asked = personal.questions(shop)
    items = [article.product.id for article in shop.articles]
    rows = {item: row for row, item in enumerate(items)}
    with tempfile.TemporaryDirectory(prefix="endcap-personal-") as folder:
        ranker = personal.shop_ranker(shop, Path(folder))
        progress("demo shop: searches")
        without = personal.ndcg(ranker, asked, rows, "{}", personalize=False)
        known = personal.ndcg(ranker, asked, rows, "{}")
        cold = personal.ndcg(ranker, asked, rows, "nobody-{}")
        first = personal.ndcg(ranker, asked, rows, "first-{}")
        progress("demo shop: explanations")
        error = personal.explanation_error(ranker, asked, items)
    each = personal.QUERIES_A_SHOPPER
    beside = {"without": float(without.mean()), "with": float(known.mean())}
    return {
        "personal_ndcg_gain": _gain(known, without, each, ">= 0.15", beside),
        "cold_ndcg_change": Figure(
            abs(float(cold.mean() / without.mean()) - 1.0),
            goal="<= 0.005",
            baselines={"one event known": float(first.mean() / without.mean()) - 1.0},
        ),
        "explanation_max_error": Figure(error, goal="<= 1e-5"),
    }


def _mean(values: Values, goal: str, beside: dict[str, float]) -> Figure:
    draws = np.random.default_rng(7).integers(len(values), size=(1000, len(values)))
    low, high = np.percentile(values[draws].mean(axis=1), (2.5, 97.5))
    return Figure(float(values.mean()), "", float(low), float(high), goal, beside)


def _gain(with_it: Values, without: Values, each: int, goal: str, beside: dict[str, float]) -> Figure:
    """Relative gain of the means; shoppers are drawn, not their queries."""
    pairs = np.stack([with_it.reshape(-1, each).mean(axis=1), without.reshape(-1, each).mean(axis=1)])
    draws = np.random.default_rng(7).integers(pairs.shape[1], size=(1000, pairs.shape[1]))
    sums = pairs[:, draws].sum(axis=2)
    low, high = np.percentile(sums[0] / sums[1] - 1.0, (2.5, 97.5))
    value = float(with_it.mean() / without.mean()) - 1.0
    return Figure(value, "", float(low), float(high), goal, beside)
