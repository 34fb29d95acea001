"""Search on Home Depot's judged queries: fusion beside its parts, misspelled queries, model numbers."""

from __future__ import annotations

import csv
import re
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt
from endcap_export.data import read_products
from endcap_export.evaluate.ranking import JudgedQuery
from endcap_export.evaluate.systems import judged_scores, learned_order
from endcap_export.progress import Progress, silent
from endcap_export.ranking import Learned, learn_ranking
from endcap_rerank.index import Index, LiveIndex, build_index
from endcap_rerank.index.lexical import query_terms
from endcap_rerank.index.reading import read_query
from endcap_rerank.index.selection import best
from endcap_rerank.learned import LearnedRelevance
from endcap_rerank.product import Product

from benchmarks.untuned import embed
from endcap.reports import Figure

RELEVANT = 2.5
"""Grade from which a product counts as relevant for recall."""
DEPTH = 100
K = 10
CANDIDATES = 200
SEED = 7
MODELS = 500

Floats = npt.NDArray[np.float32]
Doubles = npt.NDArray[np.float64]
Rows = npt.NDArray[np.int64]

_WORD = re.compile(r"[a-z]{4,}", re.IGNORECASE)
_LETTERS = "abcdefghijklmnopqrstuvwxyz"


@dataclass(frozen=True)
class Judged:
    """A query, its vector, and the grades of the products that were judged for it."""

    query: str
    vector: Floats = field(repr=False)
    rows: Rows = field(repr=False)
    grades: Doubles = field(repr=False)

    @property
    def relevant(self) -> Rows:
        """Rows of the products that a search should find."""
        relevant: Rows = self.rows[self.grades >= RELEVANT]
        return relevant


def home_depot(data: Path, folder: Path, split: str = "dev") -> tuple[LiveIndex, list[Judged]]:
    """The catalogue, indexed in ``folder`` with vectors of the untuned MiniLM, and its judged queries."""
    products = read_products(data / "homedepot" / "products.csv").rows
    build_index(folder, products, embed([one.encoder_text() for one in products]), encoder_id="minilm")
    index = LiveIndex(Index.open(folder))
    return index, judged_queries(data, index, split)


def judged_queries(data: Path, index: LiveIndex, split: str) -> list[Judged]:
    """The judged queries of a part of Home Depot."""
    grades: dict[str, dict[int, float]] = {}
    with (data / "homedepot" / f"judgments.{split}.csv").open(encoding="utf-8") as stream:
        for line in csv.DictReader(stream):
            row = index.row(line["item_id"])
            if row is not None:
                grades.setdefault(line["query"], {})[row] = float(line["relevance"])
    queries = sorted(grades)
    vectors = embed(queries, queries=True)
    return [
        Judged(query, vector, np.array(sorted(given)), np.array([given[row] for row in sorted(given)]))
        for query, vector in zip(queries, vectors, strict=True)
        if (given := grades[query])
    ]


def learned_on(judged: Sequence[Judged], index: LiveIndex, progress: Progress = silent) -> Learned:
    """A ranking learned from judged queries, whose vectors are of an encoder that saw none of them."""
    lowest = min(float(one.grades.min()) for one in judged)
    queries = [
        JudgedQuery(
            one.query, one.rows, one.grades, np.exp2(one.grades - lowest) - 1.0, one.grades >= RELEVANT
        )
        for one in judged
    ]
    return learn_ranking(index, queries, np.stack([one.vector for one in judged]), progress=progress)


def ndcg(gains_in_order: Doubles, all_grades: Doubles, k: int = K) -> float:
    """nDCG@k with gains 2^grade - 1; grade 0 gains nothing.

    Args:
        gains_in_order: grades of a list, first place first.
        all_grades: of which the best list is made.
    """
    ideal = _dcg(np.sort(all_grades)[::-1], k)
    return _dcg(gains_in_order, k) / ideal if ideal > 0 else 0.0


def typo(query: str, rng: np.random.Generator) -> str:
    """The query with one letter left out, put in, replaced, or swapped with the next one.

    Which of the four, which word of at least four letters, and which of its letters is drawn evenly. A query
    without such a word stays as it is.
    """
    words = list(_WORD.finditer(query))
    if not words:
        return query
    word = words[rng.integers(len(words))]
    at = int(rng.integers(word.start(), word.end()))
    letter = _LETTERS[rng.integers(26)]
    kind = rng.integers(4)
    if kind == 0:
        return query[:at] + query[at + 1 :]
    if kind == 1:
        return query[:at] + letter + query[at:]
    if kind == 2:
        return query[:at] + letter + query[at + 1 :]
    at = min(at, word.end() - 2)
    return query[:at] + query[at + 1] + query[at] + query[at + 2 :]


def fusion_figures(
    index: LiveIndex, judged: Sequence[Judged], learned: LearnedRelevance | None = None
) -> dict[str, Figure]:
    """``fusion_ndcg10`` over the judged products and ``fusion_recall100`` over the whole catalogue.

    Beside them: a random order, BM25 as written, BM25 with words read otherwise, and vectors alone; with a
    learned relevance, which is then what is served, the weighted sum that it takes the place of.
    """
    rng = np.random.default_rng(SEED)
    order: dict[str, list[float]] = {}
    found: dict[str, list[float]] = {}
    for one in judged:
        retrieved = index.retrieve(one.query, one.vector, count=CANDIDATES)
        every = {
            "bm25": index.index.lexical.scores(query_terms(one.query)),
            "bm25 tolerant": read_query(one.query, index.index.lexical).scores,
            "dense": index.index.dense.vectors @ one.vector,
        }
        if len(one.rows) > 1:
            places = {"random": rng.permutation(len(one.rows))}
            for name, scores in every.items():
                places[name] = np.argsort(-scores[one.rows], kind="stable")
            scored = judged_scores(index, one.query, one.vector, one.rows, retrieved)
            places["fusion"] = np.argsort(-scored.fused, kind="stable")
            if learned is not None:
                places["weighted sum"] = places["fusion"]
                _, told = learned_order(index, one.query, retrieved, scored, learned)
                places["fusion"] = np.argsort(-told, kind="stable")
            for name, place in places.items():
                order.setdefault(name, []).append(ndcg(one.grades[place], one.grades))
        if len(one.relevant):
            lists = {name: best(scores, DEPTH) for name, scores in every.items()}
            lists["random"] = rng.choice(len(index), DEPTH, replace=False)
            lists["fusion"] = retrieved.rows[:DEPTH]
            if learned is not None:
                lists["weighted sum"] = lists["fusion"]
                scored = judged_scores(index, one.query, one.vector, one.rows, retrieved)
                lists["fusion"] = learned_order(index, one.query, retrieved, scored, learned)[0][:DEPTH]
            for name, rows in lists.items():
                found.setdefault(name, []).append(float(np.isin(one.relevant, rows).mean()))
    figures = {}
    for name, values in (("ndcg10", order), ("recall100", found)):
        arrays = {key: np.array(numbers) for key, numbers in values.items()}
        ours = arrays.pop("fusion")
        means = {key: float(numbers.mean()) for key, numbers in arrays.items()}
        leader = max((key for key in means if key != "weighted sum"), key=lambda key: means[key])
        goal = f"> {means[leader]:.6f}"
        figures[f"fusion_{name}"] = mean_figure(ours, goal, means)
        figures[f"fusion_{name}_lead"] = mean_figure(ours - arrays[leader], "> 0", {})
    return figures


def typo_figure(index: LiveIndex, judged: Sequence[Judged]) -> Figure:
    """``typo_recall_loss``: share of recall@100 that one typo a query takes."""
    rng = np.random.default_rng(SEED)
    asked = [one for one in judged if len(one.relevant)]
    misspelled = [typo(one.query, rng) for one in asked]
    vectors = embed(misspelled, queries=True)
    recalls: dict[str, list[float]] = {"clean": [], "typo": [], "literal": []}
    for one, query, vector in zip(asked, misspelled, vectors, strict=True):
        lists = {
            "clean": index.retrieve(one.query, one.vector, count=CANDIDATES),
            "typo": index.retrieve(query, vector, count=CANDIDATES),
            "literal": index.retrieve(query, vector, count=CANDIDATES, tolerant=False),
        }
        for name, retrieved in lists.items():
            recalls[name].append(float(np.isin(one.relevant, retrieved.rows[:DEPTH]).mean()))
    clean, wrong, literal = (np.array(recalls[name]) for name in ("clean", "typo", "literal"))
    draws = np.random.default_rng(SEED).integers(len(clean), size=(1000, len(clean)))
    low, high = np.percentile(1 - wrong[draws].mean(axis=1) / clean[draws].mean(axis=1), (2.5, 97.5))
    beside = {
        "recall clean": float(clean.mean()),
        "recall with typo": float(wrong.mean()),
        "loss without tolerance": 1 - float(literal.mean() / clean.mean()),
    }
    value = 1 - float(wrong.mean() / clean.mean())
    return Figure(value, "", float(low), float(high), "<= 0.06", beside)


def model_figure() -> Figure:
    """``model_number_first``: share of queries, each a model number, whose first product is the right one.

    Products are made for it: half name their model in the title, half in an attribute, and several have
    models that differ in one character. Each is asked for as written, in lower case, with a hyphen and beside
    a word.
    """
    rng = np.random.default_rng(SEED)
    models = sorted({_model(rng) for _ in range(MODELS)})
    titles = [
        f"Cordless {kind} {n}V" for n, kind in zip(rng.integers(10, 60, len(models)), _kinds(), strict=False)
    ]
    products = [
        Product(
            id=f"m{at}",
            title=f"{title} {model}" if at % 2 else title,
            attributes={} if at % 2 else {"Model": model},
        )
        for at, (title, model) in enumerate(zip(titles, models, strict=True))
    ]
    with tempfile.TemporaryDirectory(prefix="endcap-models-") as name:
        build_index(
            Path(name), products, embed([one.encoder_text() for one in products]), encoder_id="minilm"
        )
        index = LiveIndex(Index.open(Path(name)))
        asked = [
            (at, query)
            for at, model in enumerate(models)
            for query in (model, model.lower(), f"{model[:3]}-{model[3:]}", f"cordless {model}")
        ]
        vectors = embed([query for _, query in asked], queries=True)
        first = [
            index.retrieve(query, vector, count=CANDIDATES).rows[0] == at
            for (at, query), vector in zip(asked, vectors, strict=True)
        ]
    return Figure(float(np.mean(first)), goal=">= 1")


def figures(
    index: LiveIndex,
    judged: Sequence[Judged],
    progress: Callable[[str], None],
    learned: LearnedRelevance | None = None,
) -> dict[str, Figure]:
    """All figures of this module, in the report ``ranking``.

    Args:
        learned: what was learned of relevance from other queries; None where the default is served.
    """
    progress("Home Depot: fusion")
    found = fusion_figures(index, judged, learned)
    progress("Home Depot: typos")
    found["typo_recall_loss"] = typo_figure(index, judged)
    progress("model numbers")
    found["model_number_first"] = model_figure()
    return found


def mean_figure(values: Doubles, goal: str, beside: dict[str, float]) -> Figure:
    """A mean with its 95% bootstrap interval over queries."""
    draws = np.random.default_rng(SEED).integers(len(values), size=(1000, len(values)))
    low, high = np.percentile(values[draws].mean(axis=1), (2.5, 97.5))
    return Figure(float(values.mean()), "", float(low), float(high), goal, beside)


def _dcg(grades: Doubles, k: int) -> float:
    kept = grades[:k]
    return float(((2.0**kept - 1.0) / np.log2(np.arange(2, len(kept) + 2))).sum())


def _model(rng: np.random.Generator) -> str:
    letters = "".join(rng.choice(list("BCDHKMX"), 3))
    return f"{letters}{rng.integers(700, 780)}{rng.choice(list('BCK'))}{rng.integers(1, 4)}"


def _kinds() -> list[str]:
    return ["drill", "impact driver", "jigsaw", "sander", "grinder"] * (MODELS // 5 + 1)
