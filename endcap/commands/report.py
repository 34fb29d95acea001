"""``endcap report``: every report as one table and one page."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from endcap.console import reports_errors


@reports_errors
def report(
    directory: Annotated[Path, typer.Option("--directory", help="Where the reports lie.")] = Path(
        "build/reports"
    ),
) -> None:
    """Print every report as one table and write index.html beside them."""
    from rich.table import Table

    from endcap.console import console
    from endcap.report_page import baselines, interval, number, verdict, write_page
    from endcap.reports import read_all

    reports = read_all(directory)
    table = Table(title="Endcap reports")
    for title in ("report", "figure", "value", "unit", "interval", "goal", "", "beside it"):
        # Names are what one looks for: they stay whole, the other columns fold.
        table.add_column(
            title, justify="right" if title == "value" else "left", no_wrap=title in ("figure", "value")
        )
    colours = {"met": "[green]met[/]", "missed": "[red]missed[/]", "": ""}
    for each in reports:
        for place, (name, figure) in enumerate(each.figures.items()):
            table.add_row(
                each.name if place == 0 else "",
                name,
                number(figure.value),
                figure.unit,
                interval(figure),
                figure.goal,
                colours[verdict(figure)],
                baselines(figure),
            )
        table.add_section()
    if reports:
        console.print(table)
    else:
        console.print(f"No report in {directory} yet: `make bench` writes some.", markup=False)
    page = write_page(reports, directory)
    console.print(f"{len(reports)} reports, {page}", markup=False, soft_wrap=True)
