"""``endcap beside``: a second release on the same server, for a share of the shoppers."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from endcap.commands.build import RepositoryOption, ServerOption
from endcap.console import console, errors, reports_errors


@reports_errors
def beside(
    release: Annotated[
        str, typer.Argument(help="Folder of a release, or the id of one that the repository has.")
    ],
    repository: RepositoryOption = Path("build/repository"),
    precision: Annotated[str, typer.Option(help="Which encoder is served: int8 or fp32.")] = "int8",
    server: ServerOption = None,
    end: Annotated[bool, typer.Option("--end", help="Serve it no longer beside the current one.")] = False,
) -> None:
    """Serve a release beside the current one, to compare the two on live traffic.

    The SDK asks for it with `release=`; `Split` says which shoppers get it. It takes as much memory as the
    current one, and stays over `endcap register` and `endcap rollback`.
    """
    from endcap_export.beside import end_beside, serve_beside
    from endcap_export.gate import GateError

    from endcap.verdict import show_verdict

    if end:
        with errors.status("unloading"):
            end_beside(release, repository, server=server)
        console.print(f"release [bold]{release}[/] is no longer served beside the current one")
        return
    try:
        with errors.status("verifying, loading"):
            added = serve_beside(release, repository, precision=precision, server=server)
    except GateError as error:
        show_verdict(errors, error.verdict)
        raise
    console.print(f"release [bold]{added}[/] is served beside the current one")
