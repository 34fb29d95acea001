"""A server whose stores are fresh and thrown away, so that a benchmark leaves nothing behind."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from endcap.launcher import Server


class Scratch(NamedTuple):
    """What a benchmark has while its server runs.

    Attributes:
        server: ready.
        state: folder of its stores.
        folder: for files of the benchmark's own.
    """

    server: Server
    state: Path
    folder: Path


@contextmanager
def scratch_server(repository: Path, *, name: str, **settings: Any) -> Iterator[Scratch]:
    """Start a server on ``repository`` and stop it at the end.

    Args:
        repository: what ``endcap register`` wrote.
        name: of the benchmark, for the name of the folder.
        settings: as ``Server.start`` takes them, without ``state``.

    Raises:
        EndcapError: it does not start.
    """
    with tempfile.TemporaryDirectory(prefix=f"endcap-{name}-") as made:
        folder = Path(made)
        state = folder / "state"
        with Server.start(repository, state=state, **settings) as server:
            yield Scratch(server, state, folder)
