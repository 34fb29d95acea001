"""Rows of a Parquet, CSV or JSON Lines file, each with its line, and what could not be read of them."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, TypeVar

from endcap_rerank.errors import EndcapError, InvalidInputError

T = TypeVar("T")

EXTENSIONS = (".parquet", ".csv", ".jsonl")
MAX_BAD_SHARE = 0.01
"""Above this share of bad rows a file is refused: it is not what its name says, or it is damaged."""

_SHOWN = 20


@dataclass(frozen=True)
class BadRow:
    """A row that cannot be used.

    Attributes:
        line: line of the file, from 1; of a Parquet file the row, from 1.
    """

    file: Path
    line: int
    reason: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.reason}"


class DataError(EndcapError):
    """A file of the shop cannot be used as a whole; ``bad`` lists the rows that say why, if rows do."""

    def __init__(self, message: str, bad: Sequence[BadRow] = ()) -> None:
        self.bad = tuple(bad)
        lines = [message, *(f"  {row}" for row in self.bad[:_SHOWN])]
        if len(self.bad) > _SHOWN:
            lines.append(f"  … and {len(self.bad) - _SHOWN} more")
        super().__init__("\n".join(lines))


@dataclass(frozen=True)
class Loaded(Generic[T]):
    """What was read of one or more files.

    Attributes:
        rows: the usable rows in file order.
        bad: the rows that were left out, to be reported.
        notes: what else was left out, a sentence each.
    """

    rows: tuple[T, ...]
    bad: tuple[BadRow, ...] = ()
    notes: tuple[str, ...] = field(default=())

    def warnings(self) -> list[str]:
        """One line for everything that was left out."""
        return [*self.notes, *map(str, self.bad)]


def read_table(
    path: Path,
    parse: Callable[[Mapping[str, Any], int], T],
    *,
    required: Sequence[str],
    known: Sequence[str],
    max_bad_share: float = MAX_BAD_SHARE,
) -> Loaded[T]:
    """Read a file by its extension and parse every row.

    Args:
        path: a ``.parquet``, ``.csv`` or ``.jsonl`` file.
        parse: makes a row's value from its columns and its line; raises InvalidInputError when it cannot.
        required: columns without which the file is refused.
        known: columns that are handed to ``parse``; others are left out with a note.
        max_bad_share: share of bad rows, in [0, 1], above which the file is refused.

    Raises:
        DataError: no such file, another extension, a missing column, no rows, or too many bad ones.
    """
    if not path.is_file():
        raise DataError(f"{path}: no such file")
    reader = _READERS.get(path.suffix.lower())
    if reader is None:
        raise DataError(f"{path}: got extension {path.suffix!r}; one of {', '.join(EXTENSIONS)} is expected")
    good: list[T] = []
    bad: list[BadRow] = []
    columns: set[str] = set()
    for line, row in reader(path, required):
        if isinstance(row, str):
            bad.append(BadRow(path, line, row))
            continue
        columns.update(row)
        try:
            good.append(parse({name: value for name, value in row.items() if name in known}, line))
        except InvalidInputError as error:
            bad.append(BadRow(path, line, str(error)))
    for name in required:
        if columns and name not in columns:
            raise _missing(path, name, sorted(columns))
    notes = tuple(
        f"{path}: column {name!r} is not known and is left out; known are {', '.join(known)}"
        for name in sorted(columns - set(known))
    )
    return Loaded(refuse_above(path, good, bad, max_bad_share), tuple(bad), notes)


def refuse_above(path: Path, good: Sequence[T], bad: Sequence[BadRow], share: float) -> tuple[T, ...]:
    """The good rows, unless more than ``share`` of all rows is bad or there is none.

    Raises:
        DataError: with the list of bad rows.
    """
    total = len(good) + len(bad)
    if len(bad) > share * total:
        raise DataError(
            f"{path}: {len(bad)} of {total} rows cannot be used, more than {share:.1%} are refused:", bad
        )
    if not good:
        raise DataError(f"{path}: the file has no rows")
    return tuple(good)


# A reader yields (line, columns) or, for a line that is no row, (line, reason).
Row = Mapping[str, Any] | str


def _read_csv(path: Path, required: Sequence[str]) -> Iterator[tuple[int, Row]]:
    csv.field_size_limit(1 << 24)
    # Undecodable bytes become surrogates, so that one bad row does not end the file.
    with path.open(encoding="utf-8-sig", errors="surrogateescape", newline="") as stream:
        reader = csv.DictReader(stream)
        columns = [name.strip() for name in reader.fieldnames or ()]
        if not columns:
            raise DataError(f"{path}: the file is empty")
        reader.fieldnames = columns
        for name in required:
            if name not in columns:
                raise _missing(path, name, columns)
        while True:
            line = reader.line_num + 1
            try:
                row = next(reader)
            except StopIteration:
                return
            except csv.Error as error:
                yield line, f"not CSV ({error})"
                continue
            if None in row:
                yield line, f"{len(columns) + len(row[None])} fields; the header has {len(columns)}"
            elif None in row.values():
                count = sum(value is not None for value in row.values())
                yield line, f"{count} fields; the header has {len(columns)}"
            elif any("\udc80" <= char <= "\udcff" for value in row.values() for char in value):
                yield line, "not valid UTF-8"
            else:
                yield line, row


def _read_jsonl(path: Path, required: Sequence[str]) -> Iterator[tuple[int, Row]]:
    with path.open("rb") as stream:
        for line, raw in enumerate(stream, start=1):
            if not raw.strip():
                continue
            try:
                row = json.loads(raw.decode("utf-8-sig"))
            except UnicodeDecodeError:
                yield line, "not valid UTF-8"
                continue
            except (json.JSONDecodeError, RecursionError) as error:
                yield line, f"not JSON ({error})"
                continue
            yield line, row if isinstance(row, dict) else "a JSON object is expected"


def _read_parquet(path: Path, required: Sequence[str]) -> Iterator[tuple[int, Row]]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        file = pq.ParquetFile(path)
        names = file.schema_arrow.names
        for name in required:
            if name not in names:
                raise _missing(path, name, names)
        line = 0
        for batch in file.iter_batches():
            for row in batch.to_pylist():
                line += 1
                yield line, row
    except pa.ArrowException as error:
        raise DataError(f"{path}: not a Parquet file ({error})") from error


def _missing(path: Path, name: str, columns: Sequence[str]) -> DataError:
    return DataError(f"{path}: column {name!r} is missing; the file has {', '.join(columns)}")


_READERS: dict[str, Callable[[Path, Sequence[str]], Iterator[tuple[int, Row]]]] = {
    ".csv": _read_csv,
    ".jsonl": _read_jsonl,
    ".parquet": _read_parquet,
}
