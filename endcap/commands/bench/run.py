"""What every benchmark's command does around the measurement: prepare, show steps, publish."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from endcap_export.progress import Progress as Stages

    from benchmarks.repositories import Prepared
    from endcap.reports import Report


def add_checkout() -> None:
    """Make ``benchmarks`` importable: it lies beside ``endcap`` and is part of no distribution."""
    from endcap_rerank.errors import EndcapError

    root = Path(__file__).resolve().parents[3]
    if not (root / "benchmarks" / "__init__.py").is_file():
        raise EndcapError(f"{root} has no benchmarks/: they run from a checkout of Endcap (pip install -e .)")
    if str(root) not in sys.path:
        sys.path.insert(0, str(root))


def asked_or_prepared(
    repository: Path | None, queries: Path | None, prepare: Callable[[Stages], Prepared]
) -> tuple[Path, Path]:
    """What was asked for; what was not comes from ``prepare``."""
    from endcap.progress import stage_bars

    if repository is not None and queries is not None:
        return repository, queries
    with stage_bars() as bars:
        prepared = prepare(bars)
    return repository or prepared.repository, queries or prepared.traffic


@contextmanager
def steps(name: str) -> Iterator[Callable[[int, int], None]]:
    """A bar that is told (steps done, steps in all)."""
    from rich.progress import Progress

    from endcap.console import errors

    with Progress(console=errors, transient=True) as progress:
        task = progress.add_task(name, total=None)
        yield lambda done, total: progress.update(task, completed=done, total=total)


def publish(report: Report, output: Path) -> None:
    """Write a report and print its figures."""
    report.write(output)
    show(report, output)


def show(report: Report, output: Path) -> None:
    """Print a report's figures as a table, and where it lies."""
    from rich.table import Table

    from endcap.console import console
    from endcap.report_page import baselines, number, verdict

    table = Table("figure", "value", "unit", "goal", "", "beside it", title=report.name)
    for name, figure in report.figures.items():
        table.add_row(
            name, number(figure.value), figure.unit, figure.goal, verdict(figure), baselines(figure)
        )
    console.print(table)
    console.print(f"{output / report.name}.json", markup=False, soft_wrap=True)
