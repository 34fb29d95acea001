"""Changes of the catalogue, taken in before a request; what is known serves while they are out of reach."""

from __future__ import annotations

import logging

from endcap_rerank.errors import StoreError
from endcap_rerank.index import LiveIndex

CHANGES_UNREADABLE = "The latest changes of the catalogue cannot be read; the answer is made without them."
"""Note of an answer from a catalogue that may be out of date because its store is down or damaged."""

_log = logging.getLogger(__name__)


class CatalogChanges:
    """The store of changes behind a live index. A shop that cannot read it sells on."""

    def __init__(self, index: LiveIndex) -> None:
        self._index = index
        self._readable = True

    def take_in(self) -> tuple[str, ...]:
        """See what any process has changed; notes for the caller, mostly none."""
        try:
            self._index.refresh()
        except StoreError as error:
            if self._readable:  # once, not with every request
                _log.warning("the catalogue stays as it is until its changes can be read again: %s", error)
            self._readable = False
            return (CHANGES_UNREADABLE,)
        if not self._readable:
            _log.warning("the changes of the catalogue can be read again")
        self._readable = True
        return ()
