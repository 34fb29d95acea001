"""Every report as one self-contained HTML page."""

from __future__ import annotations

import base64
import html
from collections.abc import Sequence
from pathlib import Path

from endcap.reports import Figure, Report

PAGE_STYLE = """
body{font:16px/1.5 system-ui,sans-serif;max-width:70rem;margin:2rem auto;padding:0 1rem;color:#1b1b1b}
h1{font-size:1.6rem}h2{font-size:1.2rem;margin-top:2.5rem}p.of{color:#555;font-size:.9rem;margin:.2rem 0}
.scroll{overflow-x:auto}table{border-collapse:collapse;width:100%}
th,td{text-align:left;padding:.3rem .8rem;border-bottom:1px solid #ddd;white-space:nowrap}
td.n{text-align:right;font-variant-numeric:tabular-nums}.met{color:#176b2c}.missed{color:#a3151c}
img{max-width:100%;height:auto}
@media (prefers-color-scheme:dark){body{background:#16181b;color:#e8e8e8}p.of{color:#aaa}
th,td{border-color:#3a3d42}.met{color:#7bd88f}.missed{color:#ff8a8f}a{color:#8ab4f8}}
"""


def write_page(reports: Sequence[Report], directory: Path) -> Path:
    """Write ``directory/index.html``.

    A picture ``NAME.svg``, ``NAME.png``, ``NAME-….svg`` … beside a report is embedded; a page of the
    report's own, ``NAME.html``, is linked.
    """
    directory.mkdir(parents=True, exist_ok=True)
    sections = "\n".join(_section(report, directory) for report in reports)
    body = sections or "<p>No report yet: <code>make bench</code> writes some.</p>"
    page = (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>Endcap reports</title><style>{PAGE_STYLE}</style></head>\n"
        f"<body><h1>Endcap reports</h1>\n{body}\n</body></html>\n"
    )
    file = directory / "index.html"
    file.write_text(page, "utf-8")
    return file


def number(value: float) -> str:
    """A figure for reading: four significant digits, thousands apart, never an exponent for common sizes."""
    if value == int(value) and abs(value) < 1e15:
        return f"{int(value):,}"
    return f"{value:,.0f}" if abs(value) >= 10_000 else f"{value:.4g}"


def verdict(figure: Figure) -> str:
    """``met``, ``missed`` or nothing."""
    return {True: "met", False: "missed", None: ""}[figure.met]


def interval(figure: Figure) -> str:
    """``low – high`` where both are known."""
    if figure.low is None or figure.high is None:
        return ""
    return f"{number(figure.low)} – {number(figure.high)}"


def baselines(figure: Figure) -> str:
    """``name value, name value``."""
    return ", ".join(f"{name} {number(value)}" for name, value in figure.baselines.items())


def figure_table(report: Report) -> str:
    """The figures of a report as an HTML table."""
    rows = "\n".join(_row(name, figure) for name, figure in report.figures.items())
    return (
        '<div class="scroll"><table><thead><tr><th>figure</th><th>value</th><th>unit</th><th>interval</th>'
        f"<th>goal</th><th></th><th>beside it</th></tr></thead><tbody>\n{rows}\n</tbody></table></div>"
    )


def _section(report: Report, directory: Path) -> str:
    machine = report.machine
    made = (
        f"{report.created} · commit {report.commit or 'unknown'} · {machine.get('cpu', '?')}, "
        f"{machine.get('cores', '?')} cores, {machine.get('memory_gib', '?')} GiB"
    )
    own = directory / f"{report.name}.html"
    link = f'<p class="of"><a href="{own.name}">{own.name}</a></p>' if own.is_file() else ""
    return (
        f'<section id="{html.escape(report.name)}"><h2>{html.escape(report.name)}</h2>'
        f'<p class="of">{html.escape(made)}</p><p>{html.escape(report.notes)}</p>'
        f"{figure_table(report)}{link}{_pictures(report.name, directory)}</section>"
    )


def _row(name: str, figure: Figure) -> str:
    word = verdict(figure)
    return (
        f'<tr><th scope="row">{html.escape(name)}</th><td class="n">{number(figure.value)}</td>'
        f"<td>{html.escape(figure.unit)}</td><td>{interval(figure)}</td><td>{html.escape(figure.goal)}</td>"
        f'<td class="{word}">{word}</td><td>{html.escape(baselines(figure))}</td></tr>'
    )


def _pictures(name: str, directory: Path) -> str:
    types = {".svg": "image/svg+xml", ".png": "image/png"}
    shown = []
    for file in sorted(directory.iterdir()):
        if file.suffix in types and (file.stem == name or file.stem.startswith(f"{name}-")):
            data = base64.b64encode(file.read_bytes()).decode("ascii")
            alt = html.escape(file.stem)
            shown.append(f'<p><img alt="{alt}" src="data:{types[file.suffix]};base64,{data}"></p>')
    return "".join(shown)
