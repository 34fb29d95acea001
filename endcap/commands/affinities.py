"""``endcap affinities``: learn anew what shoppers take after what."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from endcap.commands.build import RepositoryOption
from endcap.console import console, errors, reports_errors

StateOption = Annotated[
    Path | None, typer.Option(help="Folder of the stores. [default: the repository's own]")
]


@reports_errors
def affinities(repository: RepositoryOption = Path("build/repository"), state: StateOption = None) -> None:
    """Learn from all events so far what is taken after what; a running server takes it up at once."""
    from endcap_export.affinities import learn_affinities

    with errors.status("learning what is chosen after what"):
        told = learn_affinities(repository, state)
    if not told:
        console.print("There are no events of these products yet; nothing was learnt.")
        return
    shares = ", ".join(
        f"{name} {share:.2f}" for name, share in sorted(told["shares"].items(), key=lambda one: -one[1])
    )
    console.print(
        f"release [bold]{told['release']}[/]: affinities of {told['items']} products "
        f"from {told['shoppers']} shoppers ({shares})"
    )
