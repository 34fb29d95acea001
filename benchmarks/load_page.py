"""One self-contained HTML page about a run under load: pictures first, then every figure."""

from __future__ import annotations

import html
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

from benchmarks import triton_metrics
from benchmarks.load_run import Run
from benchmarks.load_series import Piece
from endcap.charts import STYLE, Bar, bars, lines
from endcap.report_page import PAGE_STYLE, figure_table
from endcap.reports import Report

Memory = Sequence[tuple[float, float]]


def write_page(
    report: Report,
    file: Path,
    *,
    run: Run,
    pieces: Sequence[Piece],
    points: Sequence[Piece],
    memory: Memory = (),
) -> None:
    """Write the page that ``page`` makes to ``file``."""
    file.write_text(page(report, run=run, pieces=pieces, points=points, memory=memory), "utf-8")


def page(
    report: Report,
    *,
    run: Run,
    pieces: Sequence[Piece],
    points: Sequence[Piece],
    memory: Memory = (),
) -> str:
    """The page as HTML that needs nothing else.

    Args:
        run: the one that is shown over time.
        pieces: of its time.
        points: latency over load: one for each rate that was tried.
        memory: MiB of the server by seconds from the start.
    """
    sections = [
        ("Latency over time (ms)", lines(_latency(pieces, "begin"), x_label="seconds")),
        ("Requests a second over time", lines(_rates(pieces), x_label="seconds")),
        ("Failed requests over time", _errors(pieces)),
        ("Latency over load (ms)", _over_load(points)),
        ("Where a request's time goes in the server (mean ms)", _breakdown(run)),
        ("Waiting in Triton's queues over time (mean ms)", _queues(run)),
        ("Errors", _messages(run)),
        ("Memory of the server (MiB)", lines({"MiB": memory}, x_label="seconds") if memory else ""),
        ("All figures", figure_table(report)),
    ]
    body = "\n".join(f"<section><h2>{title}</h2>{shown}</section>" for title, shown in sections if shown)
    machine = report.machine
    made = (
        f"{report.created} · commit {report.commit or 'unknown'} · {machine.get('cpu', '?')}, "
        f"{machine.get('cores', '?')} cores"
    )
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>Endcap: {html.escape(report.name)}</title><style>{PAGE_STYLE}{STYLE}</style></head>\n"
        f'<body><h1>{html.escape(report.name)}</h1><p class="of">{html.escape(made)}</p>'
        f"<p>{html.escape(report.notes)}</p>\n{body}\n</body></html>\n"
    )


def _latency(pieces: Sequence[Piece], along: str) -> dict[str, list[tuple[float, float]]]:
    return {
        name: [(getattr(piece, along), getattr(piece, name)) for piece in pieces]
        for name in ("p50", "p95", "p99")
    }


def _rates(pieces: Sequence[Piece]) -> dict[str, list[tuple[float, float]]]:
    return {
        name: [(piece.begin, getattr(piece, name)) for piece in pieces] for name in ("offered", "answered")
    }


def _errors(pieces: Sequence[Piece]) -> str:
    if not any(piece.errors for piece in pieces):
        return "<p>None.</p>"
    return lines({"failed": [(piece.begin, piece.errors) for piece in pieces]}, x_label="seconds")


def _over_load(points: Sequence[Piece]) -> str:
    ordered = sorted(points, key=lambda point: point.offered)
    picture = (
        lines(_latency(ordered, "offered"), x_label="requests a second offered") if len(ordered) > 1 else ""
    )
    rows = "".join(
        f'<tr><th scope="row">{html.escape(point.phase)}</th>'
        + "".join(
            f'<td class="n">{value:.4g}</td>'
            for value in (point.offered, point.answered, point.p50, point.p95, point.p99, point.errors)
        )
        + "</tr>"
        for point in points
    )
    heads = ("", "offered/s", "answered/s", "p50", "p95", "p99", "failed")
    head = "".join(f"<th>{title}</th>" for title in heads)
    table = f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"
    return f'{picture}<div class="scroll">{table}</div>'


def _breakdown(run: Run) -> str:
    counted = run.counted
    rows = [
        Bar(f"{model}: {what}", triton_metrics.per_request(counted, model, f"{what}_us"))
        for model in triton_metrics.models(counted)
        for what in ("queue", "compute")
    ]
    rows += [Bar(f"stage {stage}", mean) for stage, mean in triton_metrics.stages(counted).items()]
    if not rows:
        return "<p>The server's metrics were not read.</p>"
    share = triton_metrics.cache_share(counted)
    said = "" if share is None else f"<p>The response cache answered {share:.1%} of what it was asked.</p>"
    return bars(rows) + said


def _queues(run: Run) -> str:
    series: dict[str, list[tuple[float, float]]] = {}
    for (_, earlier), (at, later) in pairwise(run.server):
        counted = triton_metrics.between(earlier, later)
        for model in triton_metrics.models(counted):
            if model in ("tokenize", "encode", "rerank", "recommend"):
                mean = triton_metrics.per_request(counted, model, "queue_us")
                series.setdefault(model, []).append((at, mean))
    return lines(series, x_label="seconds")


def _messages(run: Run) -> str:
    if not run.messages:
        return ""
    often = sorted(run.messages.items(), key=lambda item: -item[1])
    rows = "".join(
        f'<tr><td class="n">{count}</td><td>{html.escape(text)}</td></tr>' for text, count in often
    )
    return f'<div class="scroll"><table><tbody>{rows}</tbody></table></div>'
