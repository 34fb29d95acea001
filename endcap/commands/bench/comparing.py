"""``endcap bench compare``: what changed between two reports."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from endcap.console import reports_errors


@reports_errors
def compare(
    before: Annotated[Path, typer.Argument(help="A report, or a folder with several runs of one benchmark.")],
    after: Annotated[Path, typer.Argument(help="The same, later.")],
    tolerance: Annotated[
        float, typer.Option(min=0, help="Relative difference that counts where neither side knows its noise.")
    ] = 0.05,
    every: Annotated[bool, typer.Option("--all", help="Figures that did not change, too.")] = False,
) -> None:
    """What changed beyond noise between two reports; exit status 1 when something got worse."""
    from rich.table import Table

    from endcap.comparison import compare as changes_of
    from endcap.comparison import read_runs
    from endcap.console import console, errors
    from endcap.report_page import number

    one, two = read_runs(before), read_runs(after)
    changes = changes_of(one, two, tolerance=tolerance)
    if one[-1].machine != two[-1].machine:
        errors.print("[yellow]different machines[/]: times say little, ratios more")
    table = Table("figure", "before", "after", "unit", "change", "noise", "", title=one[0].name)
    colours = {"better": "[green]better[/]", "worse": "[red]worse[/]"}
    for change in changes:
        if change.verdict or every:
            relative = change.relative
            table.add_row(
                change.name,
                number(change.before.value),
                number(change.after.value),
                change.unit,
                "" if relative is None else f"{relative:+.1%}",
                f"± {number(change.noise)}",
                colours.get(change.verdict, change.verdict),
            )
    if table.row_count:
        console.print(table)
    counts = [sum(change.verdict == word for change in changes) for word in ("better", "worse", "changed")]
    console.print(
        f"{len(one)} run(s) before, {len(two)} after, {len(changes)} figures: {counts[0]} better, "
        f"{counts[1]} worse, {counts[2]} changed"
    )
    if counts[1]:
        raise typer.Exit(1)
