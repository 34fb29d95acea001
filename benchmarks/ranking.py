"""Quality of ranking: the next item of real histories, and personalization where tastes are known."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
from endcap_rerank.errors import EndcapError, InvalidInputError

from benchmarks import next_item, personal, relevance, tradeoff
from benchmarks.next_item import Office, Quality
from endcap.reports import REPORTS, Figure, Report

SEED = 7
TUNING_SEEDS = (11, 12, 13)
"""The shops on which the default weights were chosen; the report is of another, SEED."""

PARTS = ("office", "shop", "search")
"""What may be measured alone."""

SEARCH_NOTES = (
    "Home Depot dev, 54,667 products, untuned MiniLM (int8): nDCG@10 re-ranks the judged products of a "
    "query; recall@100 is over the whole catalogue with grades of at least 2.5, unjudged products "
    "counting as not relevant, so it is a lower bound; intervals 95% bootstrap over queries; *_lead is "
    "the paired difference to the best of bm25 (as written), bm25 tolerant (words read otherwise) and "
    "dense. fusion is what is served: a relevance learned on the training queries by LightGBM where it "
    "gains in cross-validation there, beside it the default weighted sum, whose BM25 weight was chosen on "
    "dev. typo_recall_loss: one random typo in one word of at least four letters of each query (left out, "
    "put in, replaced, swapped), vectors of the misspelled text. model_number_first: generated products "
    "with near-alike model numbers, four spellings each. Diversity: the first 10 of 200 candidates. "
    "ild_gain_at_1pct takes nDCG over the "
    "judged products only, in the order of the list and then of the candidates left out: what nobody "
    "judged is neither right nor wrong, so a list that leaves the topic for unjudged products loses "
    "nothing there; ild_gain_unjudged_wrong is the same with unjudged products counting as wrong, a lower "
    "bound; intervals are those of the best strategy. "
    "Queries have 6 judged products on average, too few to diversify among them alone. "
    "pyversity_points_above: of pyversity's settings 0.1 to 1.0 on the same candidates and scores, those "
    "above the curve of each of our strategies (on topic and over all candidates), with unjudged as wrong. "
    "Ours as the ranker applies them: one unit of relevance for all queries, an msd list with its most "
    "relevant product first, which its ILD does not see; 26 settings, straight lines between them. "
    "Entropy: leaf categories, 400 queries of the demo shop, nDCG by the shop's own law over the whole "
    "catalogue."
)

Values = npt.NDArray[np.float64]


def measure(
    data: Path,
    *,
    products: int = 5000,
    shoppers: int = 400,
    only: str | None = None,
    pictures: Path = REPORTS,
    progress: Callable[[str], None] = lambda stage: None,
) -> Report:
    """The report ``ranking``.

    Args:
        data: folder of the data sets; ``office`` and ``homedepot`` are used.
        products, shoppers: size of the demo shop.
        only: one of PARTS to measure alone; the report is then ``ranking-PART``.
        pictures: where ``diversity_curve.png`` goes.
        progress: told what is done now.

    Raises:
        InvalidInputError: ``only`` is no part.
        EndcapError: the data or a library of the ``bench`` extra is not there.
    """
    if only is not None and only not in PARTS:
        raise InvalidInputError("only", only, f"one of {', '.join(PARTS)} is expected")
    parts = PARTS if only is None else (only,)
    for part, name in (("office", "office"), ("search", "homedepot")):
        if part in parts and not (data / name).is_dir():
            raise EndcapError(f"{data / name} is not there; ENDCAP_DATA names the folder of the data sets")
    figures: dict[str, Figure] = {}
    if "office" in parts:
        figures.update(office_figures(Office.read(data / "office"), progress))
    if "shop" in parts:
        figures.update(personal_figures(products, shoppers, progress))
    if "search" in parts:
        figures.update(search_figures(data, products, pictures, progress))
    notes = (
        "Office: for every shopper the last event is the test and the last but one the tuning event. All "
        "settings were chosen on the tuning event after training on all but the last two events: of Endcap "
        "by EM within endcap_export.affinities, which always holds out the last event it is given, of the "
        "peers by the best nDCG@20 of a small grid. Then each was trained on all but the last event and "
        "asked for 20 products that the shopper does not have. Endcap's list is the answer of "
        "Ranker.recommend at diversity 0, with embeddings of the packaged MiniLM, not fine-tuned; "
        "`affinities alone` is Affinities.likely without the ranker's other terms. Intervals: 95% bootstrap "
        "over shoppers, 1,000 draws. office_*_lead is the difference to the best peer with its paired "
        f"interval. Demo shop (seed {SEED}, {products} products, {shoppers} shoppers; default weights and "
        f"price classes chosen on seeds {', '.join(map(str, TUNING_SEEDS))}): "
        "gain of a product = (2^grade - 1)·P(this shopper clicks it by the shop's "
        "own law of hidden tastes), grades of the whole catalogue by the law behind judgments.csv, ideal "
        f"list over all products; {personal.QUERIES_A_SHOPPER} queries a shopper in their departments, "
        "diversity 0, untuned MiniLM without tags. cold_ndcg_change: shoppers without any event; beside it "
        "those of whom one event is known. " + SEARCH_NOTES
    )
    return Report("ranking" if only is None else f"ranking-{only}", figures, notes)


def search_figures(
    data: Path, products: int, pictures: Path, progress: Callable[[str], None]
) -> dict[str, Figure]:
    """Fusion, typos, model numbers, and what diversity costs."""
    progress("Home Depot: vectors and index")
    with tempfile.TemporaryDirectory(prefix="endcap-homedepot-") as folder:
        index, judged = relevance.home_depot(data, Path(folder))
        progress("Home Depot: learned ranking")
        learned = relevance.learned_on(relevance.judged_queries(data, index, "train"), index)
        progress(f"Home Depot: {learned.why}")
        figures = relevance.figures(index, judged, progress, learned.relevance)
        progress("diversity")
        picture = pictures / "diversity_curve.png"
        figures.update(tradeoff.measure(index, judged, picture, seed=SEED, products=products))
    return figures


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
