"""Going over to a segment that another process has written, without a search that waits for it."""

from __future__ import annotations

import logging
import threading
import time
from pathlib import Path

from endcap_rerank.catalog_store import CatalogStore
from endcap_rerank.errors import EndcapError
from endcap_rerank.index.build import Index
from endcap_rerank.index.overlay import Overlay
from endcap_rerank.index.segments import Segment, SegmentFolder
from endcap_rerank.index.vocabulary import CategoryTree, Vocabulary

_AT_ONCE = 32
_PAUSE = 0.001
"""Seconds without work after so many changes: a search that waits for the interpreter gets it."""
_log = logging.getLogger(__name__)


class SegmentWatch:
    """Sees that a segment was written, and opens it beside the searches.

    Checksums are computed and the changes since the segment are taken in by a thread of its own; the
    searching thread then takes the whole in one step.

    Args:
        store: path of the store of changes.
        seen: name of the segment that is known to this process, "" for none.
        names: of brands and of categories, by code; they grow.
    """

    def __init__(
        self,
        folder: SegmentFolder,
        store: Path,
        index: Index,
        seen: str,
        names: tuple[Vocabulary, CategoryTree],
    ) -> None:
        self._folder = folder
        self._store = store
        self._index = index
        self._seen = seen
        self._names = names
        self._thread: threading.Thread | None = None
        self._ready: Overlay | None = None

    def fresh(self) -> Overlay | None:
        """A segment that is ready to be served, once; microseconds. A damaged one is logged and left."""
        if self._thread is not None:
            if self._thread.is_alive():
                return None
            self._thread = None
            ready, self._ready = self._ready, None
            return ready
        current = self._folder.current()
        if current != self._seen:
            self._seen = current
            self._thread = threading.Thread(target=self._open, args=(current,), daemon=True)
            self._thread.start()
        return None

    def _open(self, name: str) -> None:
        try:
            segment = Segment.open(self._folder.path / name, self._index)
            overlay = Overlay(self._index, segment, *self._names)
            store = CatalogStore(self._store)
            try:
                changes = store.changes_since(segment.seq)
            finally:
                store.close()
            for start in range(0, len(changes), _AT_ONCE):
                overlay.take_in(changes[start : start + _AT_ONCE])
                time.sleep(_PAUSE)
            self._ready = overlay
        except EndcapError as error:
            _log.warning("segment %s is not taken up, the former one serves on: %s", name, error)
