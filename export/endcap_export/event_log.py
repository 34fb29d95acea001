"""The log of events as a file that a build reads."""

from __future__ import annotations

import contextlib
import csv
import json
import os
import tempfile
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import IO, Any

from endcap_rerank.errors import InvalidInputError
from endcap_rerank.events import Event

from endcap_export.data import EVENT_COLUMNS
from endcap_export.rows import EXTENSIONS

_CHUNK = 10_000


def write_events(file: Path, events: Iterable[Event]) -> int:
    """Write events as ``read_events`` reads them: Parquet, CSV or JSON Lines by the extension.

    The file appears whole or not at all, and only its owner may read it.

    Returns:
        How many were written.

    Raises:
        InvalidInputError: another extension, or the file cannot be written.
        StoreError: the events cannot be read; no file is written.
    """
    writers = {".parquet": _parquet, ".csv": _csv, ".jsonl": _jsonl}
    if file.suffix not in writers:
        raise InvalidInputError("file", str(file), f"a name that ends in {', '.join(EXTENSIONS)} is expected")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=file.parent, prefix=f".{file.name}.")
    except OSError as error:
        raise InvalidInputError(
            "file", str(file), f"a file that can be written is expected ({error})"
        ) from None
    part = Path(name)
    try:
        with os.fdopen(handle, "wb") as stream:
            count = writers[file.suffix](stream, iter(events))
            stream.flush()
            os.fsync(stream.fileno())
        part.replace(file)
    except OSError as error:
        raise InvalidInputError(
            "file", str(file), f"a file that can be written is expected ({error})"
        ) from None
    finally:
        with contextlib.suppress(FileNotFoundError):
            part.unlink()
    return count


def _row(event: Event) -> tuple[Any, ...]:
    """The values of EVENT_COLUMNS."""
    return tuple(event)


def _csv(stream: IO[bytes], events: Iterator[Event]) -> int:
    import io

    text = io.TextIOWrapper(stream, "utf-8", newline="")
    writer = csv.writer(text)
    writer.writerow(EVENT_COLUMNS)
    count = 0
    for event in events:
        writer.writerow(_row(event))
        count += 1
    text.flush()
    text.detach()
    return count


def _jsonl(stream: IO[bytes], events: Iterator[Event]) -> int:
    count = 0
    for event in events:
        document = dict(zip(EVENT_COLUMNS, _row(event), strict=True))
        stream.write(json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode() + b"\n")
        count += 1
    return count


def _parquet(stream: IO[bytes], events: Iterator[Event]) -> int:
    import pyarrow as pa
    import pyarrow.parquet as pq

    kinds = {"timestamp": pa.float64(), "position": pa.int32()}
    schema = pa.schema([(name, kinds.get(name, pa.string())) for name in EVENT_COLUMNS])
    count = 0
    with pq.ParquetWriter(stream, schema) as writer:
        while part := [_row(event) for event in islice(events, _CHUNK)]:
            columns = [list(values) for values in zip(*part, strict=True)]
            writer.write_table(pa.table(columns, schema=schema))
            count += len(part)
    return count
