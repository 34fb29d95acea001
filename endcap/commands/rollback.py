"""``endcap rollback``: return to an earlier release."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from endcap.commands.build import RepositoryOption, ServerOption
from endcap.console import console, errors, reports_errors


@reports_errors
def rollback(
    repository: RepositoryOption = Path("build/repository"),
    to: Annotated[
        str | None, typer.Option(help="Release id. [default: the one before the current one]")
    ] = None,
    server: ServerOption = None,
) -> None:
    """Register an earlier release again, as a new version. Repeated, it goes further back."""
    from endcap_export.registry import current
    from endcap_export.registry import rollback as roll_back

    with errors.status("rolling back"):
        version = roll_back(repository, to, server=server)
    console.print(f"release [bold]{current(repository).release}[/] is version [bold]{version}[/]")
