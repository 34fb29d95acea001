"""``endcap vectors``: put a release's vectors into Milvus."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from endcap.commands.events import RepositoryOption
from endcap.console import console, errors, reports_errors


@reports_errors
def vectors(
    repository: RepositoryOption = Path("build/repository"),
    url: Annotated[str | None, typer.Option(help="milvus://host:port. [default: ENDCAP_VECTORS]")] = None,
    release: Annotated[str | None, typer.Option(help="Release id. [default: the one that is served]")] = None,
) -> None:
    """Put the vectors of a release into Milvus, into a collection of its own; repeated, it completes it.

    A server with ENDCAP_VECTORS searches its own index until they are all there.
    """
    from endcap_export.registry import RELEASES, current
    from endcap_rerank.errors import InvalidInputError
    from endcap_rerank.milvus import MilvusAddress, publish_vectors
    from endcap_rerank.release import Release
    from endcap_rerank.settings import Settings

    url = Settings.from_environment().vectors if url is None else url
    if not url:
        raise InvalidInputError("ENDCAP_VECTORS", url, "milvus://host:port is expected, here or as --url")
    opened = Release.open(repository / RELEASES / (release or current(repository).release))
    address = MilvusAddress.parse(url, opened.id)
    with errors.status("sending vectors"):
        sent = publish_vectors(opened.index, address)
    told = f"{sent} vectors were sent" if sent else "all vectors are there already"
    console.print(f"release [bold]{opened.id}[/], collection [bold]{address.collection}[/]: {told}")
