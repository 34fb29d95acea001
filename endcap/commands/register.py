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
    force: Annotated[
        str | None,
        typer.Option(
            metavar="REASON",
            help="Register it although the gate refuses its figures; the reason is kept in registry.json.",
        ),
    ] = None,
) -> None:
    """Register a release unless it loses against the running one on its held queries. Needs no torch.

    Compared are tag F1, nDCG@10 and the encoder's speed; checked are checksums, parity, and that the index
    was made by the encoder. A crash in the middle leaves the old version.
    """
    from endcap_export.gate import GateError, Verdict
    from endcap_export.registry import current
    from endcap_export.registry import register as register_release

    from endcap.verdict import show_verdict

    try:
        with errors.status("comparing with the running release, registering"):
            version = register_release(release, repository, precision=precision, server=server, force=force)
    except GateError as error:
        show_verdict(errors, error.verdict)
        raise
    served = current(repository)
    show_verdict(console, Verdict.from_mapping(served.gate), served.forced)
    console.print(f"release [bold]{served.release}[/] ({served.precision}) is version [bold]{version}[/]")
