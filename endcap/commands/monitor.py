"""``endcap monitor``: whether live traffic has moved, and what shoppers take of what they are shown."""

from __future__ import annotations

import time
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from endcap.commands.events import EventsOption, RepositoryOption, StateOption, opened
from endcap.console import console, errors, reports_errors

if TYPE_CHECKING:
    from endcap_rerank.events import Event


@reports_errors
def monitor(
    log: Annotated[
        Path | None,
        typer.Argument(
            help="Exported events: .csv, .jsonl or .parquet. [default: the server's store]",
            show_default=False,
        ),
    ] = None,
    repository: RepositoryOption = Path("build/repository"),
    state: StateOption = None,
    url: EventsOption = None,
    since: Annotated[str, typer.Option(help="Length of the window, to the latest event: 36h, 7d.")] = "1d",
    baseline: Annotated[str, typer.Option(help="Length of the window before it, to compare with.")] = "7d",
    release: Annotated[str | None, typer.Option(help="Only the lists of this release.")] = None,
    ab: Annotated[
        tuple[str, str] | None,
        typer.Option("--ab", metavar="A B", help="Compare two releases that different shoppers got."),
    ] = None,
    interleaved: Annotated[
        tuple[str, str] | None,
        typer.Option(metavar="A B", help="Compare two releases that shared lists (team_draft)."),
    ] = None,
    page: Annotated[
        str | None, typer.Option(help="URL or saved file of the server's metrics page, for scores.")
    ] = None,
    page_before: Annotated[
        str | None, typer.Option(help="The same page saved earlier: the baseline of scores.")
    ] = None,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write all figures there.")] = None,
    prometheus: Annotated[
        Path | None,
        typer.Option(help="Write them there (.prom) for the textfile collector of the node exporter."),
    ] = None,
) -> None:
    """Drift of queries and scores, click-through by place and release, nDCG by clicks; with 95% intervals.

    No text of a query and no id of a shopper is printed or written.
    """
    from endcap_export.monitor import watch
    from endcap_export.monitor.similarity import read_page, similarity_drift
    from endcap_export.monitor.textfile import write_textfile
    from endcap_rerank.errors import InvalidInputError

    from endcap.monitor_report import seconds, show, write_json

    window, before = seconds("since", since), seconds("baseline", baseline)
    if (page is None) != (page_before is None):
        raise InvalidInputError("page", page, "--page and --page-before go together")
    drifts = {}
    if page is not None and page_before is not None:
        drifts["scores"] = similarity_drift(read_page(page_before), read_page(page))
    with errors.status("reading"):
        events, until = _read(log, repository, state, url, window + before)
    with errors.status("counting"):
        made = watch(
            events,
            since=window,
            baseline=before,
            until=until,
            release=release,
            sides=ab,
            teams=interleaved,
            drifts=drifts,
        )
    show(made, console)
    if json_file is not None:
        write_json(made, json_file)
    if prometheus is not None:
        write_textfile(made, prometheus)


def _read(
    log: Path | None, repository: Path, state: Path | None, url: str | None, span: float
) -> tuple[list[Event], float]:
    """Events of the last ``span`` seconds before the latest one, oldest first, and when that was."""
    if log is None:
        with opened(repository, state, url) as store:
            until = _latest(event.timestamp for event in store.every())
            return [event for event in store.every() if event.timestamp >= until - span], until
    from endcap_export.data import read_events

    loaded = read_events(log)
    for bad in loaded.bad:
        errors.print(f"left out: {bad}", style="yellow", markup=False, highlight=False, soft_wrap=True)
    events = sorted(loaded.rows, key=lambda event: event.timestamp)
    return events, _latest(event.timestamp for event in events)


def _latest(moments: Iterable[float]) -> float:
    """The latest moment that is not ahead: a shopper's clock may run fast."""
    now = time.time()
    return max((moment for moment in moments if moment <= now), default=0.0)
