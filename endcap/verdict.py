"""What the gate found, as a table."""

from __future__ import annotations

from endcap_export.gate import Check, Verdict
from rich.console import Console
from rich.table import Table
from rich.text import Text

_FORMATS = {"parity": ".0e", "ms per query": ".2f", "index": ".4f"}


def show_verdict(console: Console, verdict: Verdict, forced: str = "") -> None:
    """Print candidate against running release, a line for each check, and the outcome."""
    table = Table(title=f"gate: {verdict.candidate}", title_justify="left")
    table.add_column("", no_wrap=True)
    table.add_column("candidate", justify="right")
    table.add_column(verdict.running or "running", justify="right")
    table.add_column("")
    for check in verdict.checks:
        word = Text("refused: ", style="red") if check.refused else Text()
        table.add_row(
            check.name, _cell(check, check.candidate), _cell(check, check.running), word + check.says
        )
    console.print(table)
    if forced:
        console.print(f"registered all the same: {forced}", style="yellow", markup=False, soft_wrap=True)


def _cell(check: Check, value: float | None) -> str:
    return "–" if value is None else format(value, _FORMATS.get(check.name, ".3f"))
