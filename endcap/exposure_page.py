"""The exposure of brands and sellers as a report and as a page with pictures."""

from __future__ import annotations

import html
from collections.abc import Sequence
from pathlib import Path

from endcap_export.exposed import Exposure, Seen

from endcap.charts import STYLE, Bar, bars
from endcap.report_page import PAGE_STYLE, figure_table
from endcap.reports import Figure, Report

NAME = "exposure"


def exposure_report(found: Sequence[Exposure], lists: int, source: str, top: int) -> Report:
    """The report ``exposure``: Gini coefficients, and the shares of the ``top`` values of each attribute.

    Args:
        lists: how many were looked at.
        source: where they are from, half a sentence.
    """
    figures: dict[str, Figure] = {}
    for one in found:
        beside = {"values": float(len(one.seen)), "seen": float(sum(seen.share > 0.0 for seen in one.seen))}
        figures[f"gini_{one.attribute}"] = Figure(one.gini, baselines=beside)
    for one in found:
        for seen in one.seen[:top]:
            name = f"{one.attribute}:{seen.value or '(none)'}"
            figures[name] = Figure(seen.share, baselines={"share of the catalogue": seen.catalogue})
    notes = (
        f"Of {lists} lists {source}. A place counts 1 / log2(1 + place), from 1; a share is that of all "
        "places. gini_*: 0 where all products, brands … are seen alike, near 1 where one has everything; "
        f"those never seen count. The {top} that are seen most of each are named."
    )
    return Report(NAME, figures, notes)


def write_page(report: Report, found: Sequence[Exposure], top: int, file: Path) -> None:
    """Write the page: a picture of each attribute's shares, then all figures."""
    parts = [
        f"<h1>Exposure</h1><p>{html.escape(report.notes)}</p>",
        f'<p class="of">{html.escape(report.created)}</p>',
    ]
    for one in found:
        title = f"Share of exposure by {one.attribute} (Gini {one.gini:.3f})"
        rows = [_bar(seen) for seen in one.seen[:top]]
        rest = sum(seen.share for seen in one.seen[top:])
        if len(one.seen) > top:
            rows.append(Bar(f"{len(one.seen) - top} others", rest))
        parts.append(f"<section><h2>{html.escape(title)}</h2>{bars(rows)}</section>")
    parts.append(f"<section><h2>All figures</h2>{figure_table(report)}</section>")
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1"><title>Exposure</title>'
        f"<style>{PAGE_STYLE}{STYLE}</style></head>\n<body>{chr(10).join(parts)}</body></html>\n",
        "utf-8",
    )


def _bar(seen: Seen) -> Bar:
    name = seen.value or "(none)"
    label = name if len(name) <= 26 else f"{name[:25]}…"
    return Bar(label, seen.share, note=f"({seen.catalogue:.3f} of the catalogue)")
