"""Small pictures for a page: bars, lines and coloured tables as inline SVG and HTML, no library needed.

Colours come from the page's style sheet (classes ``s0``, ``s1`` …), so that they fit light and dark pages.
"""

from __future__ import annotations

import html
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

STYLE = """
svg{max-width:100%;height:auto;font:12px system-ui,sans-serif}svg text{fill:currentColor}
svg .axis{stroke:currentColor;opacity:.35}svg .grid{stroke:currentColor;opacity:.12}
svg .whisker{stroke:currentColor;stroke-width:1.5;opacity:.7}
.s0{--c:#2f6fb5}.s1{--c:#c9722b}.s2{--c:#3c8f4d}.s3{--c:#a33f8a}.s4{--c:#7a7a7a}
rect.s0,rect.s1,rect.s2,rect.s3,rect.s4{fill:var(--c)}
polyline.s0,polyline.s1,polyline.s2,polyline.s3,polyline.s4{fill:none;stroke:var(--c);stroke-width:1.8}
table.heat td{text-align:right;padding:.15rem .45rem;font-size:.8rem;border:0}
table.heat th{padding:.15rem .45rem;font-size:.8rem;border:0;font-weight:500}
table.heat thead th{writing-mode:vertical-rl;transform:rotate(180deg)}
"""

_WIDTH = 640
_BAR = 18
_LEFT = 190


@dataclass(frozen=True)
class Bar:
    """One bar: a value from 0 on, and an interval where there is one."""

    label: str
    value: float
    low: float | None = None
    high: float | None = None
    note: str = ""


def bars(rows: Sequence[Bar], *, start: float = 0.0, series: int = 0) -> str:
    """Horizontal bars with their intervals as whiskers, the value beside each.

    Args:
        start: where the bars begin; above 0 the axis is cut and the picture says so.
        series: number of the colour.
    """
    top = max((row.high if row.high is not None else row.value for row in rows), default=1.0)
    scale = (_WIDTH - _LEFT - 110) / ((top - start) or 1.0)

    def x(value: float) -> float:
        return _LEFT + max(0.0, value - start) * scale

    parts = []
    for place, row in enumerate(rows):
        y = place * (_BAR + 8) + 4
        middle = y + _BAR / 2
        parts.append(
            f'<text x="{_LEFT - 8}" y="{middle + 4:.1f}" text-anchor="end">{_text(row.label)}</text>'
        )
        width = max(0.5, x(row.value) - _LEFT)
        parts.append(f'<rect class="s{series}" x="{_LEFT}" y="{y}" width="{width:.1f}" height="{_BAR}"/>')
        end = x(row.value)
        if row.low is not None and row.high is not None:
            end = max(end, x(row.high))
            parts.append(
                f'<line class="whisker" x1="{x(row.low):.1f}" x2="{x(row.high):.1f}" y1="{middle}" '
                f'y2="{middle}"/>'
            )
        said = f"{row.value:.3f}" + (f" {row.note}" if row.note else "")
        parts.append(f'<text x="{end + 6:.1f}" y="{middle + 4:.1f}">{_text(said)}</text>')
    height = len(rows) * (_BAR + 8) + 4
    if start > 0:
        parts.append(f'<text x="{_LEFT}" y="{height + 12}">bars begin at {start:g}</text>')
        height += 18
    return f'<svg viewBox="0 0 {_WIDTH} {height}" width="{_WIDTH}" role="img">{"".join(parts)}</svg>'


def lines(series: Mapping[str, Sequence[tuple[float, float]]], *, x_label: str) -> str:
    """Lines of (x, y) points on one pair of axes, from the least to the largest value, with a legend."""
    points = [point for line in series.values() for point in line if all(map(math.isfinite, point))]
    if not points:
        return ""
    left, right, top, bottom = 60, _WIDTH - 20, 30, 230
    x_low, x_high = min(x for x, _ in points), max(x for x, _ in points)
    y_low, y_high = min(y for _, y in points), max(y for _, y in points)
    x_span, y_span = (x_high - x_low) or 1.0, (y_high - y_low) or 1.0

    def at(point: tuple[float, float]) -> tuple[float, float]:
        x, y = point
        return left + (x - x_low) / x_span * (right - left), bottom - (y - y_low) / y_span * (bottom - top)

    parts = []
    for share in (0.0, 0.25, 0.5, 0.75, 1.0):
        y = bottom - share * (bottom - top)
        kind = "axis" if share == 0 else "grid"
        parts.append(f'<line class="{kind}" x1="{left}" x2="{right}" y1="{y}" y2="{y}"/>')
        parts.append(
            f'<text x="{left - 6}" y="{y + 4}" text-anchor="end">{y_low + share * y_span:.3g}</text>'
        )
        x = left + share * (right - left)
        parts.append(
            f'<text x="{x}" y="{bottom + 18}" text-anchor="middle">{x_low + share * x_span:.4g}</text>'
        )
    for number, (name, line) in enumerate(series.items()):
        places = " ".join(
            "{:.1f},{:.1f}".format(*at(point)) for point in line if all(map(math.isfinite, point))
        )
        parts.append(f'<polyline class="s{number % 5}" points="{places}"/>')
        x = left + number * 150
        parts.append(f'<rect class="s{number % 5}" x="{x}" y="6" width="12" height="12"/>')
        parts.append(f'<text x="{x + 17}" y="16">{_text(name)}</text>')
    parts.append(
        f'<text x="{(left + right) / 2}" y="{bottom + 36}" text-anchor="middle">{_text(x_label)}</text>'
    )
    return f'<svg viewBox="0 0 {_WIDTH} {bottom + 44}" width="{_WIDTH}" role="img">{"".join(parts)}</svg>'


def heat(names: Sequence[str], counts: Sequence[Sequence[int]]) -> str:
    """A square table, each row's numbers coloured by their share of the row."""
    head = "".join(f"<th>{_text(name)}</th>" for name in names)
    body = []
    for row, (name, values) in enumerate(zip(names, counts, strict=True)):
        total = sum(values) or 1
        cells = []
        for column, value in enumerate(values):
            colour = "60,143,77" if row == column else "201,114,43"
            share = math.sqrt(value / total)
            cells.append(f'<td style="background:rgba({colour},{share:.2f})">{value or ""}</td>')
        body.append(f'<tr><th scope="row">{_text(name)}</th>{"".join(cells)}</tr>')
    return (
        f'<div class="scroll"><table class="heat"><thead><tr><th></th>{head}</tr></thead>'
        f"<tbody>{''.join(body)}</tbody></table></div>"
    )


def _text(value: str) -> str:
    return html.escape(value)
