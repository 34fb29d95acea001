"""An evaluation as one page to read: figures, pictures, and where the model fails."""

from __future__ import annotations

import html
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from endcap_export.bio import OUTSIDE, TaggedQuery
from endcap_export.evaluate import bootstrap
from endcap_export.evaluate.ranking import METRICS
from endcap_export.evaluate.run import (
    CLEAN,
    MODEL,
    SYSTEMS,
    TYPO,
    Evaluation,
    RankingEvaluation,
    TagEvaluation,
)

from endcap.charts import STYLE, Bar, bars, heat, lines
from endcap.report_page import PAGE_STYLE, figure_table
from endcap.reports import Report

WORST = 25
"""Queries of each kind that are shown as failures."""

_LENGTHS = ((1, 1), (2, 2), (3, 3), (4, 4), (5, 6), (7, 99))
"""Words of a query, first and last of each group."""


def write_page(evaluation: Evaluation, report: Report, file: Path) -> None:
    """Write the page; it needs no other file."""
    parts = [
        f"<h1>Evaluation</h1><p>{_text(evaluation.model.name)}</p>",
        f'<p class="of">{_text(report.created)} · commit {_text(report.commit or "unknown")} · '
        f"{_text(str(report.machine.get('cpu', '?')))}</p><p>{_text(report.notes)}</p>",
    ]
    if evaluation.missing:
        parts.append(_section("Not evaluated", _list(evaluation.missing)))
    if evaluation.tagged is not None:
        parts += _tags(evaluation.tagged)
    if evaluation.ranked is not None:
        parts += _ranking(evaluation.ranked)
    parts.append(_section("Training", _training(evaluation)))
    if evaluation.warnings:
        parts.append(_section("Left out when the files were read", _list(evaluation.warnings[:200])))
    parts.append(_section("All figures", figure_table(report)))
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>Evaluation of {_text(evaluation.model.name)}</title>"
        f"<style>{PAGE_STYLE}{STYLE}</style></head>\n"
        f"<body>{chr(10).join(parts)}</body></html>\n",
        "utf-8",
    )


def _tags(tagged: TagEvaluation) -> Iterator[str]:
    from endcap_export.evaluate.tags import f1

    clean = tagged.clean
    runs = {"encoder": clean, f"encoder, {TYPO}": tagged.typo, **tagged.rivals}
    rows = [_bar(name, bootstrap.estimate(f1, run.counts())) for name, run in runs.items()]
    yield _section("Tags: strict entity F1", bars(rows))
    kinds = []
    for kind in clean.types:
        counts = clean.counts(kind)
        support = int(counts[:, 2].sum())
        kinds.append(_bar(kind, bootstrap.estimate(f1, counts), f"of {support}"))
    yield _section("F1 by type", bars(kinds, series=2))
    names, table = clean.confusion()
    note = "<p>Tokens: the row is the true type, the column what was predicted.</p>"
    yield _section("Which type is taken for which", note + heat(names, table.tolist()))
    outcomes = clean.outcomes()
    columns = ("found", "wrong type", "wrong ends", "missed", "spurious")
    body = [[kind, *(str(outcome[name]) for name in columns)] for kind, outcome in outcomes.items()]
    yield _section("What became of the spans", _table(("type", *columns), body))
    yield _section("Worst tagged queries", _worst_tags(clean.queries, clean.predicted))


def _worst_tags(queries: Sequence[TaggedQuery], predicted: Sequence[Sequence[str]]) -> str:
    wrong = [
        (sum(a != b for a, b in zip(query.labels, mine, strict=True)), query, mine)
        for query, mine in zip(queries, predicted, strict=True)
    ]
    wrong.sort(key=lambda one: -one[0])
    body = [
        [query.text, str(errors), _marked(query, query.labels), _marked(query, mine)]
        for errors, query, mine in wrong[:WORST]
        if errors
    ]
    return _table(("query", "wrong tokens", "gold", "predicted"), body, wrap=True)


def _marked(query: TaggedQuery, labels: Sequence[str]) -> str:
    """``[brand: dewalt] cordless``: spans in brackets."""
    ends = [*query.starts[1:], len(query.text)]
    spans: list[tuple[str, int, int]] = []
    for label, start, end in zip(labels, query.starts, ends, strict=True):
        kind = label[2:]
        if label.startswith("I-") and spans and spans[-1][0] == kind:
            spans[-1] = (kind, spans[-1][1], end)
        else:
            spans.append((kind if label != OUTSIDE else "", start, end))
    words = [(kind, query.text[start:end].strip()) for kind, start, end in spans]
    return " ".join(f"[{kind}: {text}]" if kind else text for kind, text in words)


def _ranking(ranked: RankingEvaluation) -> Iterator[str]:
    for metric in METRICS:
        rows, least = [], 1.0
        for typed in (CLEAN, TYPO):
            for system in SYSTEMS:
                if (system, typed) not in ranked.measures or (system == "random" and typed == TYPO):
                    continue
                values = ranked.values(system, metric, typed)
                if len(values):
                    name = system if typed == CLEAN else f"{system}, {typed}"
                    rows.append(_bar(name, bootstrap.mean(values)))
                    least = min(least, rows[-1].value)
        if rows:
            # Over judged products even a random order is near 0.9: bars from 0 would all look alike.
            cut = max(0.0, int(least * 20) / 20 - 0.05) if metric == "ndcg10" else 0.0
            yield _section(_METRIC_TITLES[metric], bars(rows, start=cut))
    yield _section("nDCG@10 by words of the query", _by_length(ranked))
    yield _section("Worst judged queries", _worst_ranked(ranked))


_METRIC_TITLES = {
    "ndcg10": "Ranking: nDCG@10 over judged products",
    "mrr": "Reciprocal rank of the first relevant product, whole catalogue",
    "recall10": "Recall@10, whole catalogue",
    "recall100": "Recall@100, whole catalogue",
}


def _by_length(ranked: RankingEvaluation) -> str:
    values = ranked.measures[MODEL, CLEAN]["ndcg10"]
    words = np.array([len(query.query.split()) for query in ranked.queries])
    rows, least = [], 1.0
    for first, last in _LENGTHS:
        chosen = values[(words >= first) & (words <= last) & ~np.isnan(values)]
        if len(chosen):
            name = f"{first}" if first == last else f"{first} to {last}" if last < 99 else f"{first} and more"
            rows.append(_bar(name, bootstrap.mean(chosen), f"of {len(chosen)}"))
            least = min(least, rows[-1].low or 0.0)
    return bars(rows, start=max(0.0, int(least * 20) / 20 - 0.05), series=1)


def _worst_ranked(ranked: RankingEvaluation) -> str:
    values = ranked.measures[MODEL, CLEAN]["ndcg10"]
    body = []
    for at in np.argsort(np.where(np.isnan(values), np.inf, values), kind="stable")[:WORST].tolist():
        if np.isnan(values[at]):
            break
        query = ranked.queries[at]
        best = int(query.rows[query.grades.argmax()])
        first = int(ranked.first[at])
        grade = float(query.grades[query.rows == first][0])
        body.append(
            [
                query.query,
                f"{values[at]:.3f}",
                f"{ranked.titles[best]} ({query.grades.max():g})",
                f"{ranked.titles[first]} ({grade:g})",
            ]
        )
    return _table(("query", "nDCG@10", "judged best (grade)", "put first (grade)"), body, wrap=True)


def _training(evaluation: Evaluation) -> str:
    """Learning curves of the record, and of ``metrics.jsonl`` beside the model."""
    run = evaluation.model.record.get("training") or {}
    parts = []
    losses = run.get("losses") or []
    for column, name in ((1, "tag loss"), (2, "pair loss")):
        points = [(float(row[0]), float(row[column])) for row in losses if row[column] is not None]
        if points:
            parts.append(lines({name: points}, x_label="step"))
    for name, points in sorted(_logged(evaluation.model.folder).items()):
        parts.append(lines({name: points}, x_label="step"))
    if not parts:
        return "<p>The record holds no losses.</p>"
    return "".join(parts)


def _logged(folder: Path | None) -> Mapping[str, list[tuple[float, float]]]:
    """What training measured on the way: name → (step, value), from ``metrics.jsonl``."""
    found: dict[str, list[tuple[float, float]]] = {}
    file = folder / "metrics.jsonl" if folder is not None else None
    if file is None or not file.is_file():
        return found
    for line in file.read_text("utf-8").splitlines():
        entry: dict[str, Any] = json.loads(line) if line.strip() else {}
        step = entry.pop("step", None)
        for name, value in entry.items():
            if step is not None and isinstance(value, int | float) and not isinstance(value, bool):
                found.setdefault(name, []).append((float(step), float(value)))
    return {name: points for name, points in found.items() if len(points) > 1}


def _bar(name: str, estimate: bootstrap.Estimate, note: str = "") -> Bar:
    return Bar(name, estimate.value, estimate.low, estimate.high, note)


def _section(title: str, body: str) -> str:
    return f"<section><h2>{_text(title)}</h2>{body}</section>"


def _list(lines_: Sequence[str]) -> str:
    return "<ul>" + "".join(f"<li>{_text(line)}</li>" for line in lines_) + "</ul>"


def _table(head: Sequence[str], body: Sequence[Sequence[str]], *, wrap: bool = False) -> str:
    style = ' style="white-space:normal"' if wrap else ""
    titles = "".join(f"<th>{_text(name)}</th>" for name in head)
    rows = "".join(
        "<tr>" + "".join(f"<td{style}>{_text(cell)}</td>" for cell in row) + "</tr>" for row in body
    )
    return f'<div class="scroll"><table><thead><tr>{titles}</tr></thead><tbody>{rows}</tbody></table></div>'


def _text(value: str) -> str:
    return html.escape(value)
