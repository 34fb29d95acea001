"""``endcap forget``: delete everything that is stored of a shopper."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from endcap.commands.events import EventsOption, RepositoryOption, StateOption, opened
from endcap.console import console, errors, reports_errors


@reports_errors
def forget(
    user: Annotated[str, typer.Argument(help="The shopper's id, as the shop knows it.")],
    repository: RepositoryOption = Path("build/repository"),
    state: StateOption = None,
    events: EventsOption = None,
) -> None:
    """Delete every event of a shopper, from the files of the store too; a running server knows at once."""
    from endcap_rerank.requests import valid_id

    user = valid_id("user", user, required=True)
    with errors.status("deleting"), opened(repository, state, events) as store:
        deleted = store.forget(user)
    console.print(f"{deleted} events were deleted; nothing is stored of this shopper.")
