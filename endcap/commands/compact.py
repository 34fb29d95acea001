"""``endcap compact``: write the changes of the catalogue into a segment."""

from __future__ import annotations

from pathlib import Path

from endcap.commands.events import RepositoryOption, StateOption
from endcap.console import console, errors, reports_errors


@reports_errors
def compact(repository: RepositoryOption = Path("build/repository"), state: StateOption = None) -> None:
    """Write all changes of the catalogue into a segment; a running server takes it up within a second.

    A server does this by itself when changes are many; before a restart it makes the start quicker.
    """
    from endcap_export.registry import RELEASES, STATE, current
    from endcap_rerank.catalog_store import CatalogStore
    from endcap_rerank.index import Index
    from endcap_rerank.index.compaction import compact as write
    from endcap_rerank.index.segments import SegmentFolder
    from endcap_rerank.ranker import CATALOG_FILE
    from endcap_rerank.release import Release

    release = Release.open(repository / RELEASES / current(repository).release)
    folder = state or repository / STATE
    store = CatalogStore(folder / CATALOG_FILE)
    try:
        with errors.status("writing a segment"):
            written = write(Index.open(release.index), store, SegmentFolder(folder, release.id))
    finally:
        store.close()
    if written is None:
        console.print("Nothing was written: no new changes, or another process is writing them.")
    else:
        console.print(f"release [bold]{release.id}[/]: segment [bold]{written.name}[/]", soft_wrap=True)
