"""The figures of an evaluation, in the format of reports."""

from __future__ import annotations

import re
from collections.abc import Mapping

from endcap_export.evaluate import bootstrap
from endcap_export.evaluate.bootstrap import Estimate
from endcap_export.evaluate.ranking import METRICS
from endcap_export.evaluate.run import (
    BM25,
    CLEAN,
    HYBRID,
    MODEL,
    SYSTEMS,
    TYPO,
    UNTUNED,
    Evaluation,
    RankingEvaluation,
    TagEvaluation,
)
from endcap_export.evaluate.tags import f1, f1_loss, precision, recall

from endcap.reports import Figure, Report

NAME = "evaluation"

_COMPARED = ("ndcg10", "recall100")
"""Metrics whose lead over the rivals is a figure of its own."""


def report(evaluation: Evaluation) -> Report:
    """All figures of an evaluation, with what it could not say in the notes."""
    seconds = ", ".join(f"{stage} {taken:.0f} s" for stage, taken in evaluation.seconds.items())
    notes = [
        f"{evaluation.model.name}.",
        "Intervals are 95%, by bootstrap over queries; losses and leads are paired.",
        *evaluation.missing,
    ]
    if evaluation.tagged is not None:
        notes.append(f"Tags: {len(evaluation.tagged.clean.queries)} queries, strict entities (IOB2).")
    if evaluation.ranked is not None:
        ranked = evaluation.ranked
        notes.append(
            f"Ranking: nDCG@10 re-ranks the judged products of {len(ranked.values(MODEL, 'ndcg10'))} queries "
            "with at least 5 of them and more than one grade; reciprocal rank and recall are over all "
            f"{ranked.catalogue} products, for {len(ranked.values(MODEL, 'mrr'))} queries with a relevant "
            "one; what nobody judged counts as wrong."
        )
    if evaluation.warnings:
        notes.append(f"{len(evaluation.warnings)} rows or columns were left out when the files were read.")
    notes.append(f"Took {seconds}.")
    return Report(NAME, figures(evaluation), " ".join(notes))


def figures(evaluation: Evaluation) -> dict[str, Figure]:
    """Figure name → figure, of the parts that were evaluated."""
    found: dict[str, Figure] = {}
    if evaluation.tagged is not None:
        found.update(_tag_figures(evaluation.tagged))
    if evaluation.ranked is not None:
        found.update(_ranking_figures(evaluation.ranked))
    return found


def figure(
    estimate: Estimate, goal: str = "", beside: Mapping[str, float] | None = None, unit: str = ""
) -> Figure:
    """An estimate as a figure of a report."""
    return Figure(estimate.value, unit, estimate.low, estimate.high, goal, dict(beside or {}))


def _tag_figures(tagged: TagEvaluation) -> dict[str, Figure]:
    clean = tagged.clean
    counts = clean.counts()
    found = {}
    for name, score in (("f1", f1), ("precision", precision), ("recall", recall)):
        beside = {rival: float(score(run.counts().mean(axis=0))) for rival, run in tagged.rivals.items()}
        beside[TYPO] = float(score(tagged.typo.counts().mean(axis=0)))
        found[name] = figure(bootstrap.estimate(score, counts), beside=beside)
    found["typo_f1_loss"] = figure(
        f1_loss(clean, tagged.typo, relative=True),
        beside={"f1": found["f1"].value, TYPO: found["f1"].baselines[TYPO]},
    )
    for kind in clean.types:
        of_kind = clean.counts(kind)
        means = of_kind.mean(axis=0)
        found[f"f1_{_slug(kind)}"] = figure(
            bootstrap.estimate(f1, of_kind),
            beside={
                "precision": float(precision(means)),
                "recall": float(recall(means)),
                "support": float(of_kind[:, 2].sum()),
            },
        )
    return found


def _ranking_figures(ranked: RankingEvaluation) -> dict[str, Figure]:
    found = {}
    present = [system for system in SYSTEMS if (system, CLEAN) in ranked.measures]
    for system, prefix in ((MODEL, ""), (HYBRID, "hybrid_")):
        for metric in METRICS:
            values = ranked.values(system, metric)
            if not len(values):
                continue
            rivals = [other for other in present if other != system]
            beside = {other: float(ranked.values(other, metric).mean()) for other in rivals}
            misspelled = ranked.values(system, metric, TYPO)
            beside[TYPO] = float(misspelled.mean())
            found[f"{prefix}{metric}"] = figure(bootstrap.mean(values), beside=beside)
            if metric in _COMPARED:
                for rival in (UNTUNED, BM25):
                    if rival in present:
                        lead = bootstrap.loss(values, ranked.values(rival, metric))
                        found[f"{prefix}{metric}_over_{rival}"] = figure(lead)
            losses = {
                other: float(
                    bootstrap.share_lost(
                        ranked.values(other, metric).mean(), ranked.values(other, metric, TYPO).mean()
                    )
                )
                for other in rivals
                if other in (UNTUNED, BM25, HYBRID, MODEL)
            }
            found[f"{prefix}typo_{metric}_loss"] = figure(
                bootstrap.relative_loss(values, misspelled), beside=losses
            )
    return found


def _slug(kind: str) -> str:
    return re.sub(r"\W+", "_", kind).strip("_").lower() or "other"
