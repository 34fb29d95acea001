"""``endcap register``: a release becomes the next version of every Triton model."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from endcap.commands.build import RepositoryOption, ServerOption
from endcap.console import console, errors, reports_errors


@reports_errors
def register(
    release: Annotated[Path, typer.Argument(help="Folder of a release.")],
    repository: RepositoryOption = Path("build/repository"),
    precision: Annotated[str, typer.Option(help="Which encoder is served: int8 or fp32.")] = "int8",
    server: ServerOption = None,
) -> None:
    """Register a release; a crash in the middle leaves the old version. Needs no torch."""
    from endcap_export.registry import current
    from endcap_export.registry import register as register_release

    with errors.status("registering"):
        version = register_release(release, repository, precision=precision, server=server)
    served = current(repository)
    console.print(f"release [bold]{served.release}[/] ({served.precision}) is version [bold]{version}[/]")
