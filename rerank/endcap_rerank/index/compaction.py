"""Compaction: the changes of the catalogue that are in every process's memory become a segment on disk.

It runs in a process of its own and of low priority, which the process that stores changes starts when they
are many; or by ``endcap compact``.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

from endcap_rerank.catalog_store import CatalogStore
from endcap_rerank.index.build import Index
from endcap_rerank.index.overlay import Overlay
from endcap_rerank.index.segments import Contents, SegmentFolder
from endcap_rerank.product import Product

FEWEST = 1000
"""Changes in memory from which they are written down; comparing so many costs a search a tenth of a
millisecond."""
SHARE = 0.25
"""The same, beside what the segment has: all of it is written anew, so a larger one is written less often."""
_NICE = 10
"""A search that wants the processor gets it; on a machine that searches keep busy, this gets a tenth."""
_CHILD = "import sys; from endcap_rerank.index.compaction import main; main(*sys.argv[1:])"
_REST = 10.0
"""Seconds from one start to the next."""


def compact(index: Index, store: CatalogStore, folder: SegmentFolder) -> Path | None:
    """Write all changes so far into a segment, and let it serve.

    Returns:
        The segment; None where there is no change that the present one lacks, or another process is at it.

    Raises:
        StoreError: the store cannot be read or the segment not be written; nothing is changed.
    """
    with folder.locked() as mine:
        if not mine:
            return None
        segment = folder.open(index)
        overlay = Overlay(index, segment, index.catalog.brands, index.catalog.categories)
        overlay.take_in(store.changes_since(overlay.seq))
        serves = segment is not None and segment.directory.name == folder.current()
        if overlay.seq == (0 if segment is None else segment.seq) and (serves or segment is None):
            return None
        written = folder.write(contents(overlay), overlay.seq, index)
        _remove_gone(index, folder)
        return written


def _remove_gone(index: Index, folder: SegmentFolder) -> None:
    """Remove the segments of releases that lie no longer beside this one."""
    release = index.directory.resolve().parent
    if release.name != folder.path.name:
        return  # an index that is no release's
    for other in folder.path.parent.iterdir():
        if not (release.parent / other.name).exists():
            shutil.rmtree(other, ignore_errors=True)


def contents(overlay: Overlay) -> Contents:
    """What a segment of all changes so far is made of."""
    base = overlay.base
    products: list[Product] = []
    vectors = [np.zeros((0, base.index.dimension), np.float32)]
    comparable, popularity = [np.zeros(0, bool)], [np.zeros(0, np.float32)]
    for part in overlay.changed:
        rows = np.arange(len(part)) if part.visible is None else np.flatnonzero(part.visible)
        products += [part.product(row) for row in rows.tolist()]
        vectors.append(part.vectors[rows])
        comparable.append(np.ones(len(rows), bool) if part.comparable is None else part.comparable[rows])
        popularity.append(part.columns.popularity[rows])
    hidden = np.zeros(0, np.int64) if base.visible is None else np.flatnonzero(~base.visible)
    return Contents(
        products,
        np.concatenate(vectors),
        np.concatenate(comparable),
        np.concatenate(popularity),
        hidden.astype(np.int32),
        base.numbers(),
    )


class Compactor:
    """Starts a compaction when there is much to be written down.

    Args:
        store: path of the store of changes.
    """

    def __init__(self, index: Index, store: Path, folder: SegmentFolder) -> None:
        self._index = index
        self._store = store
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        self._rests_until = 0.0

    def after_write(self, overlay: Overlay) -> None:
        """Called by the process that stores changes, after it did."""
        if self._process is not None and self._process.poll() is None:
            return
        self._process = None
        held = 0 if overlay.segment is None else len(overlay.segment)
        if overlay.uncompacted < max(FEWEST, SHARE * held) or time.monotonic() < self._rests_until:
            return
        self._rests_until = time.monotonic() + _REST
        python = sys.executable
        if not Path(python).name.startswith("python"):  # in Triton's Python process it may be another program
            python = shutil.which(f"python{sys.version_info.major}.{sys.version_info.minor}") or "python3"
        # An editable installation is in no folder of sys.path.
        folders = [str(Path(__file__).resolve().parents[2]), *sys.path]
        self._process = subprocess.Popen(
            [
                python,
                "-c",
                _CHILD,
                self._index.directory,
                self._store,
                self._folder.path,
            ],
            env=os.environ | {"PYTHONPATH": os.pathsep.join(folders), "OMP_NUM_THREADS": "1"},
            stdin=subprocess.DEVNULL,
        )


def main(directory: str, store: str, folder: str) -> None:
    """What the process of its own does."""
    os.nice(_NICE)
    path = Path(folder)
    changes = CatalogStore(Path(store))
    compact(Index.open(Path(directory)), changes, SegmentFolder(path.parents[1], path.name))
    changes.close()
