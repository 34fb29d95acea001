"""Segments: the catalogue's changes written down as an index that all processes map.

A segment holds every product that is new or reworded since the release, in the files of an index; which
products of the release are hidden; and which have other numbers. It stands for all changes up to ``seq``.
In the state folder::

    segments/RELEASE/SEQ-CHECKSUM/    the files, and segment.json with the checksum of each
    segments/RELEASE/current          link to the one that serves

A segment is written under a name that nobody reads, flushed, renamed and only then linked to: whoever looks,
and whenever the writer dies, finds the old one or the new one whole. The one before is kept. When the linked
one is damaged, that one serves; and since the store keeps the latest state of every changed product, what
came after it, or all of it, is read from there. No change depends on a segment.
"""

from __future__ import annotations

import fcntl
import json
import logging
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from endcap_rerank.errors import ReleaseError, StoreError
from endcap_rerank.index.arrays import open_array, save_array
from endcap_rerank.index.build import Index, write_parts
from endcap_rerank.index.layer import Numbers
from endcap_rerank.index.words import NUMBERS
from endcap_rerank.product import Product
from endcap_rerank.release import MANIFEST_CHECKSUM, checksum, manifest_checksum

FOLDER = "segments"
META = "segment.json"
CURRENT = "current"
FORMAT = 1
"""Raised when the files change so that older code cannot read them."""

_LOCK = "lock"
_DRAFT = ".draft-"
_KEPT = 2
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Contents:
    """What a segment is made of.

    Attributes:
        products: new or reworded ones.
        vectors: float32 [n, D], zeros where ``comparable`` is false.
        comparable: bool [n].
        popularity: float32 [n].
        hidden: int32, rows of the release that are not shown.
        numbers: of rows of the release.
    """

    products: list[Product]
    vectors: NDArray[np.float32]
    comparable: NDArray[np.bool_]
    popularity: NDArray[np.float32]
    hidden: NDArray[np.int32]
    numbers: Numbers


@dataclass(frozen=True)
class Segment:
    """An opened segment. For the attributes that are not here see :class:`Contents`.

    Attributes:
        seq: it stands for all changes up to this one.
        index: of the products, scored by the release's statistics.
    """

    directory: Path
    seq: int
    index: Index
    comparable: NDArray[np.bool_]
    hidden: NDArray[np.int32]
    numbers: Numbers

    @classmethod
    def open(cls, directory: Path, base: Index) -> Segment:
        """Hold every file against its checksum, and map them.

        Raises:
            ReleaseError: a file is missing or damaged, or the segment belongs to another index.
        """
        file = directory / META
        try:
            meta = json.loads(file.read_text("utf-8"))
            if meta[MANIFEST_CHECKSUM] != manifest_checksum(meta):
                raise ReleaseError(f"{file}: its checksum is wrong")
            belongs = meta["format"], meta["base"]
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise ReleaseError(f"{file}: not a description of a segment ({error})") from error
        if belongs != (FORMAT, _described(base)):
            raise ReleaseError(f"{file}: made for {belongs}; {(FORMAT, _described(base))} is expected")
        for name, expected in meta["files"].items():
            try:
                actual = checksum(directory / name)
            except OSError as error:
                raise ReleaseError(f"{directory / name}: cannot be read ({error})") from error
            if actual != expected:
                raise ReleaseError(
                    f"{directory / name}: checksum {actual[:12]}…, {expected[:12]}… is expected"
                )
        numbers = {name: open_array(directory, f"numbers.{name}") for name in NUMBERS}
        return cls(
            directory,
            meta["seq"],
            Index.open(directory),
            open_array(directory, "comparable"),
            open_array(directory, "hidden"),
            Numbers(open_array(directory, "numbers.rows"), numbers),
        )


class SegmentFolder:
    """The segments of one release in a state folder."""

    def __init__(self, state: Path, release: str) -> None:
        self.path = state / FOLDER / release
        self._current = str(self.path / CURRENT)

    def current(self) -> str:
        """Name of the segment that serves, "" without one; microseconds."""
        try:
            return os.readlink(self._current)
        except OSError:
            return ""

    def open(self, base: Index) -> Segment | None:
        """The segment that serves; where it is damaged the one before, which is logged; None without any."""
        try:
            others = sorted((each.name for each in self.path.glob("[0-9]*-*")), reverse=True)
        except OSError:
            others = []
        current = self.current()
        for name in ([current] if current else []) + [name for name in others if name < current]:
            try:
                return Segment.open(self.path / name, base)
            except ReleaseError as error:
                _log.warning("segment %s is not used, its changes are read elsewhere: %s", name, error)
        return None

    @contextmanager
    def locked(self) -> Iterator[bool]:
        """Hold the right to write segments: true for one process at a time, until it ends however it ends.

        Raises:
            StoreError: the folder cannot be written.
        """
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(self.path / _LOCK, os.O_RDWR | os.O_CREAT, 0o644)
        except OSError as error:
            raise StoreError(f"{self.path}: no segment can be written ({error})") from error
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                yield False
                return
            yield True
        finally:
            os.close(descriptor)

    def write(self, contents: Contents, seq: int, base: Index) -> Path:
        """Write a segment and let it serve; called under :meth:`locked`.

        Raises:
            StoreError: nothing was changed (the disk is full, say).
        """
        for draft in self.path.glob(f"{_DRAFT}*"):
            shutil.rmtree(draft, ignore_errors=True)  # of a writer that was killed
        try:
            draft = Path(tempfile.mkdtemp(prefix=_DRAFT, dir=self.path))
            try:
                meta = _write_files(draft, contents, seq, base)
                target = self.path / f"{seq:012d}-{meta[MANIFEST_CHECKSUM][:8]}"
                shutil.rmtree(target, ignore_errors=True)  # one that was damaged, or never linked to
                draft.rename(target)
            except BaseException:
                shutil.rmtree(draft, ignore_errors=True)
                raise
            _sync(self.path)
            link = self.path / f"{_DRAFT}{CURRENT}"
            link.unlink(missing_ok=True)
            link.symlink_to(target.name)
            os.replace(link, self.path / CURRENT)
            _sync(self.path)
        except OSError as error:
            raise StoreError(f"{self.path}: no segment was written ({error})") from error
        self._prune(target.name)
        return target

    def _prune(self, current: str) -> None:
        """Remove all but the latest; who has mapped the files of one keeps them until it lets go."""
        others = sorted(each.name for each in self.path.glob("[0-9]*-*") if each.name < current)
        for name in others[: -(_KEPT - 1)]:
            shutil.rmtree(self.path / name, ignore_errors=True)


def _write_files(directory: Path, contents: Contents, seq: int, base: Index) -> Mapping[str, Any]:
    counts = np.zeros(len(contents.products))
    write_parts(directory, contents.products, contents.vectors, counts, encoder_id=base.encoder_id, like=base)
    save_array(directory, "column.popularity", contents.popularity)
    save_array(directory, "comparable", contents.comparable)
    save_array(directory, "hidden", contents.hidden)
    save_array(directory, "numbers.rows", contents.numbers.rows)
    for name in NUMBERS:
        save_array(directory, f"numbers.{name}", contents.numbers.values[name])
    files = {file.name: checksum(file) for file in sorted(directory.iterdir())}
    meta: dict[str, Any] = {"format": FORMAT, "seq": seq, "base": _described(base), "files": files}
    meta[MANIFEST_CHECKSUM] = manifest_checksum(meta)
    (directory / META).write_text(json.dumps(meta, indent=1), "utf-8")
    directory.chmod(0o755)
    for file in (*directory.iterdir(), directory):
        _sync(file)
    return meta


def _described(base: Index) -> dict[str, Any]:
    return {"encoder_id": base.encoder_id, "count": base.count, "dimension": base.dimension}


def _sync(path: Path) -> None:
    """Flush a file, or what a folder lists, to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
