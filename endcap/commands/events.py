"""``endcap events``: the log of what shoppers did."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from endcap.console import console, errors, reports_errors

if TYPE_CHECKING:
    from endcap_rerank.events import EventStore

RepositoryOption = Annotated[
    Path, typer.Option("--repository", "-r", help="What `endcap register` or `endcap build` wrote.")
]
StateOption = Annotated[
    Path | None, typer.Option(help="Folder of the stores. [default: the repository's own]")
]
EventsOption = Annotated[
    str | None,
    typer.Option(
        "--events",
        help="URL of the store. [default: ENDCAP_EVENTS, else the SQLite file in the state folder]",
    ),
]

events = typer.Typer(help="Export, import or prune the log of what shoppers did.", no_args_is_help=True)


@events.command("export")
@reports_errors
def export_events(
    file: Annotated[Path, typer.Argument(help="File to write: .csv, .jsonl or .parquet.")],
    repository: RepositoryOption = Path("build/repository"),
    state: StateOption = None,
    url: EventsOption = None,
) -> None:
    """Write all events in the layout that `endcap build --events` reads."""
    from endcap_export.event_log import write_events

    with errors.status("writing"), opened(repository, state, url) as store:
        count = write_events(file, store.every())
    console.print(f"{count} events are in [bold]{file}[/]")


@events.command("import")
@reports_errors
def import_events(
    file: Annotated[Path, typer.Argument(help="File to read: .csv, .jsonl or .parquet.")],
    repository: RepositoryOption = Path("build/repository"),
    state: StateOption = None,
    url: EventsOption = None,
) -> None:
    """Add the events of a file; those that the store has are not added twice."""
    from endcap_export.data import read_events

    with errors.status("reading"):
        loaded = read_events(file)
    for bad in loaded.bad:
        errors.print(f"left out: {bad}", style="yellow", markup=False, highlight=False, soft_wrap=True)
    with errors.status("storing"), opened(repository, state, url, create=True) as store:
        added = store.import_events(loaded.rows)
    console.print(f"{added} of {len(loaded.rows)} events were new")


@events.command("prune")
@reports_errors
def prune(
    repository: RepositoryOption = Path("build/repository"),
    state: StateOption = None,
    url: EventsOption = None,
    keep_events: Annotated[
        int | None, typer.Option(min=1, help="Latest events of a shopper. [default: ENDCAP_KEEP_EVENTS]")
    ] = None,
    keep_days: Annotated[
        int | None, typer.Option(min=1, help="Age of the oldest event. [default: ENDCAP_KEEP_DAYS]")
    ] = None,
) -> None:
    """Delete the events that lie beyond the limits."""
    with (
        errors.status("deleting"),
        opened(repository, state, url, keep_events=keep_events, keep_days=keep_days) as store,
    ):
        deleted = store.prune()
    console.print(f"{deleted} events were deleted")


@contextmanager
def opened(
    repository: Path,
    state: Path | None,
    url: str | None,
    *,
    create: bool = False,
    keep_events: int | None = None,
    keep_days: int | None = None,
) -> Iterator[EventStore]:
    """The store that a server with these options and the environment's settings uses.

    Raises:
        InvalidInputError: a setting cannot be used.
        StoreError: the store cannot be opened, or there is none and ``create`` is false.
    """
    from dataclasses import replace

    from endcap_export.registry import STATE
    from endcap_rerank.errors import StoreError
    from endcap_rerank.events import events_file, events_missing, open_events
    from endcap_rerank.settings import Settings

    settings = Settings.from_environment()
    settings = replace(
        settings,
        state=repository / STATE if state is None else state,
        events=settings.events if url is None else url,
        keep_events=settings.keep_events if keep_events is None else keep_events,
        keep_days=settings.keep_days if keep_days is None else keep_days,
    )
    if not create and events_missing(settings):
        raise StoreError(
            f"{events_file(settings)}: there is no store of events; "
            "name one by --repository, --state, --events or ENDCAP_EVENTS"
        )
    store = open_events(settings)
    try:
        yield store
    finally:
        store.close()
