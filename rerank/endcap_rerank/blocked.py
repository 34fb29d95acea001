"""Products that must never appear: recalled, forbidden, under embargo."""

from __future__ import annotations

from pathlib import Path

from endcap_rerank.errors import InvalidInputError


class BlockedItems:
    """A file of item ids, one a line, read again when it changes.

    Blank lines and lines that start with ``#`` are passed over. Replace the file by renaming another one over
    it; while it is missing or unreadable the ids last read stay blocked.

    Raises:
        InvalidInputError: the file cannot be read at the start; the message names ENDCAP_BLOCKED.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        try:
            self._stamp = self._current_stamp()
            self._ids = self._read()
        except (OSError, ValueError) as error:
            expected = f"a readable UTF-8 file of item ids is expected ({error})"
            raise InvalidInputError("ENDCAP_BLOCKED", str(file), expected) from error

    def ids(self) -> frozenset[str]:
        """The ids that are blocked now."""
        try:
            stamp = self._current_stamp()
            if stamp != self._stamp:
                self._ids = self._read()
                self._stamp = stamp
        except (OSError, ValueError):
            pass  # what was blocked stays blocked
        return self._ids

    def _current_stamp(self) -> tuple[int, int, int]:
        status = self._file.stat()
        return status.st_mtime_ns, status.st_size, status.st_ino

    def _read(self) -> frozenset[str]:
        lines = (line.strip() for line in self._file.read_text("utf-8").splitlines())
        return frozenset(line for line in lines if line and not line.startswith("#"))
