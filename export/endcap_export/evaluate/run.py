"""One evaluation: what there is of held-out data, every system beside the model, as typed and misspelled."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt
from endcap_rerank.errors import EndcapError
from endcap_rerank.index import Index, LiveIndex
from endcap_rerank.learned import LearnedRelevance
from endcap_rerank.product import Product

from endcap_export.augment import one_typo, one_typo_tagged
from endcap_export.bio import TaggedQuery
from endcap_export.data import Judgment
from endcap_export.evaluate import ranking, systems, tags
from endcap_export.evaluate.bootstrap import Doubles
from endcap_export.evaluate.models import Model, untuned
from endcap_export.evaluate.ranking import Answer, JudgedQuery
from endcap_export.progress import Progress, silent

Floats = npt.NDArray[np.float32]

CLEAN = "as typed"
TYPO = "one typo"
VECTORS = Path("build/vectors")
"""Where vectors are kept between evaluations."""

MODEL, HYBRID, UNTUNED, BM25, RANDOM = "encoder", "hybrid", "untuned", "bm25", "random"
SYSTEMS = (HYBRID, MODEL, UNTUNED, BM25, RANDOM)

_SEED = 7


@dataclass(frozen=True)
class EvaluationSet:
    """What is evaluated on; every part may be empty.

    Attributes:
        tags: tagged queries.
        training_tags: those that were trained on, for the rival that looks words up.
        judgments: graded pairs.
        products: the catalogue; a release brings its own where this is empty.
        warnings: what was left out when it was read.
    """

    tags: Sequence[TaggedQuery] = field(default=(), repr=False)
    training_tags: Sequence[TaggedQuery] = field(default=(), repr=False)
    judgments: Sequence[Judgment] = field(default=(), repr=False)
    products: Sequence[Product] = field(default=(), repr=False)
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class TagEvaluation:
    """Predictions for the tagged queries: the model's as typed and with a typo, and its rivals'."""

    clean: tags.TagRun
    typo: tags.TagRun
    rivals: Mapping[str, tags.TagRun]


@dataclass(frozen=True)
class RankingEvaluation:
    """Measures of every system on the judged queries.

    Attributes:
        misspelled: the queries with a typo.
        measures: (system, ``CLEAN`` or ``TYPO``) → metric → float64 [queries], NaN where a query does not
            count.
        first: for each query the product that the model puts first of the judged ones, as a row; -1 where the
            order of its judged products does not count.
        titles: row → title, of the judged products.
    """

    queries: Sequence[JudgedQuery] = field(repr=False)
    misspelled: Sequence[str] = field(repr=False)
    catalogue: int
    measures: Mapping[tuple[str, str], Mapping[str, Doubles]] = field(repr=False)
    first: npt.NDArray[np.int64] = field(repr=False)
    titles: Mapping[int, str] = field(repr=False)

    def values(self, system: str, metric: str, typed: str = CLEAN) -> Doubles:
        """A metric of a system over the queries that count for it: float64 [n].

        Which queries count depends on the judgments alone, so two systems' values are paired.
        """
        found = self.measures[system, typed][metric]
        return found[~np.isnan(found)]


@dataclass(frozen=True)
class Evaluation:
    """All of one evaluation.

    Attributes:
        missing: what could not be evaluated, and why, a sentence each.
        seconds: stage → how long it took.
    """

    model: Model
    tagged: TagEvaluation | None
    ranked: RankingEvaluation | None
    missing: tuple[str, ...]
    warnings: tuple[str, ...]
    seconds: Mapping[str, float]


def evaluate(
    model: Model,
    data: EvaluationSet,
    *,
    kept: Path | None = VECTORS,
    learned: LearnedRelevance | None = None,
    progress: Progress = silent,
) -> Evaluation:
    """Evaluate a model on what there is.

    Args:
        model: what ``open_model`` opened.
        data: what to evaluate on.
        kept: folder where vectors are kept between evaluations; None keeps none.
        learned: relevance with which the hybrid is served; that of the model's release where None is given.
        progress: told of the stages ``tags``, ``catalogue``, ``untuned``, ``index`` and ``ranking``.

    Raises:
        EndcapError: there is nothing to evaluate.
    """
    if learned is None and model.release is not None:
        learned = LearnedRelevance.read(model.release.ranking)
    missing: list[str] = []
    watch = _Watch(progress)
    tagged = ranked = None
    if not data.tags:
        missing.append("Tags: no tagged queries were given.")
    elif not model.tags:
        missing.append("Tags: the model was trained without tagged queries.")
    else:
        with watch("tags"):
            tagged = _tagged(model, data)
            if not data.training_tags:
                missing.append("Tags: without the training part there is no dictionary to compare with.")
    if not data.judgments:
        missing.append("Ranking: no judgments were given.")
    elif not data.products and model.release is None:
        missing.append("Ranking: no products were given.")
    else:
        with _catalogue(model, data, kept, watch) as index:
            queries = ranking.judged_queries(data.judgments, index.row)
            unknown = len({one.item for one in data.judgments if index.row(one.item) is None})
            if unknown:
                missing.append(f"Ranking: {unknown} judged products are not in the catalogue.")
            if not queries:
                missing.append("Ranking: no judged product is in the catalogue.")
            else:
                ranked = _ranked(model, index, queries, kept, learned, watch, missing)
    if tagged is None and ranked is None:
        raise EndcapError("nothing to evaluate: " + " ".join(missing))
    return Evaluation(model, tagged, ranked, tuple(missing), tuple(data.warnings), watch.seconds)


def misspelled_tags(queries: Sequence[TaggedQuery], seed: int = _SEED) -> list[TaggedQuery]:
    """Every query with one random typo, the same ones at every call."""
    generator = np.random.default_rng(seed)
    return [one_typo_tagged(query, generator) for query in queries]


def misspelled(queries: Sequence[str], seed: int = _SEED) -> list[str]:
    """Every query with one random typo, the same ones at every call."""
    generator = np.random.default_rng(seed)
    return [one_typo(query, generator) for query in queries]


def _tagged(model: Model, data: EvaluationSet) -> TagEvaluation:
    rivals = {RANDOM: tags.by_chance(data.tags)}
    if data.training_tags:
        rivals["dictionary"] = tags.by_dictionary(data.tags, data.training_tags)
    return TagEvaluation(
        tags.predict(model.encoder, model.tokenizer, model.labels, data.tags),
        tags.predict(model.encoder, model.tokenizer, model.labels, misspelled_tags(data.tags)),
        rivals,
    )


@contextmanager
def _catalogue(model: Model, data: EvaluationSet, kept: Path | None, watch: _Watch) -> Iterator[LiveIndex]:
    """The catalogue with the model's vectors: the release's own where no other products are given."""
    if model.release is not None and not data.products:
        yield LiveIndex(Index.open(model.release.index))
        return
    texts = [product.encoder_text() for product in data.products]
    with watch("catalogue", steps=True):
        vectors = model.vectors(texts, kept=kept, progress=watch.told("catalogue"))
    with ExitStack() as opened:
        with watch("index"):
            index = opened.enter_context(systems.indexed(data.products, vectors))
        yield index


def _ranked(
    model: Model,
    index: LiveIndex,
    queries: Sequence[JudgedQuery],
    kept: Path | None,
    learned: LearnedRelevance | None,
    watch: _Watch,
    missing: list[str],
) -> RankingEvaluation:
    texts = {CLEAN: [query.query for query in queries]}
    texts[TYPO] = misspelled(texts[CLEAN])
    beside = _untuned(model, index, kept, watch, missing)
    measures: dict[tuple[str, str], Mapping[str, Doubles]] = {}
    first = np.full(len(queries), -1, np.int64)
    with watch("ranking"):
        chance = ranking.by_chance(queries, index.index.count)
        for typed, asked in texts.items():
            mine = model.vectors(asked, queries=True)
            vectors = index.index.dense.vectors
            answers: dict[str, Iterator[Answer]] = {
                MODEL: systems.by_vectors(vectors, mine, queries),
                BM25: systems.by_words(index, asked, queries),
                HYBRID: systems.as_served(index, asked, mine, queries, learned),
            }
            if beside is not None:
                other, theirs = beside
                answers[UNTUNED] = systems.by_vectors(theirs, other.vectors(asked, queries=True), queries)
            for system, run in answers.items():
                measures[system, typed] = ranking.measure(queries, run)
            measures[RANDOM, typed] = chance
            if typed == CLEAN:
                for at, query in enumerate(queries):
                    if query.counts_for_order:
                        first[at] = query.rows[(vectors[query.rows] @ mine[at]).argmax()]
    titles = {int(row): index.product(row).title for query in queries for row in query.rows}
    return RankingEvaluation(queries, texts[TYPO], index.index.count, measures, first, titles)


def _untuned(
    model: Model, index: LiveIndex, kept: Path | None, watch: _Watch, missing: list[str]
) -> tuple[Model, Floats] | None:
    """The base of the model and its vectors of the catalogue; None, the reason noted, where there is none."""
    base = model.record.get("untuned")
    if not base:
        missing.append("Ranking: the record names no base, so there is no untuned encoder to compare with.")
        return None
    with tempfile.TemporaryDirectory(prefix="endcap-untuned-") as folder:
        try:
            other = untuned(base, Path(folder))
        except EndcapError as error:
            missing.append(f"Ranking: no untuned encoder to compare with: {error}.")
            return None
        products = [index.product(row).encoder_text() for row in range(index.index.count)]
        with watch("untuned", steps=True):
            return other, other.vectors(products, kept=kept, progress=watch.told("untuned"))


class _Watch:
    """Tells of stages and keeps their seconds."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self.seconds: dict[str, float] = {}

    @contextmanager
    def __call__(self, stage: str, *, steps: bool = False) -> Iterator[None]:
        started = time.perf_counter()
        if not steps:
            self._progress(stage, 0, 1)
        yield
        self.seconds[stage] = round(time.perf_counter() - started, 2)
        if not steps:
            self._progress(stage, 1, 1)

    def told(self, stage: str) -> Callable[[int, int], None]:
        return lambda done, total: self._progress(stage, done, total)
