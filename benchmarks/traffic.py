"""Which queries and shoppers a benchmark sends: from a shop's own files."""

from __future__ import annotations

import csv
import json
import random
from bisect import bisect
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import accumulate, islice
from pathlib import Path
from typing import Any

PRODUCTS = 1000
"""Products of a catalogue that updates are made of."""


@dataclass(frozen=True)
class Traffic:
    """Queries by falling popularity, shoppers with how active they are, some products.

    Attributes:
        queries: distinct; the first is asked most often.
        users: shoppers that the server may know, the most active first; may be empty.
        activity: events of each shopper and of those before it; as long as ``users``.
        products: some documents of the catalogue; may be empty.
    """

    queries: tuple[str, ...]
    users: tuple[str, ...] = ()
    activity: tuple[int, ...] = ()
    products: tuple[Mapping[str, Any], ...] = field(default=(), repr=False)

    @classmethod
    def of_shop(cls, directory: Path) -> Traffic:
        """Read ``queries.csv`` (else the queries of judgments), ``events.csv`` and ``products``.

        Raises:
            FileNotFoundError: the folder has no queries.
        """
        names = ("queries.csv", "judgments.csv", "judgments.train.csv")
        queries = next((directory / name for name in names if (directory / name).is_file()), None)
        if queries is None:
            raise FileNotFoundError(f"{directory}: none of {', '.join(names)}")
        events = directory / "events.csv"
        counts = Counter(_column(events, "user_id") if events.is_file() else ()).most_common()
        return cls(
            read_queries(queries),
            tuple(user for user, _ in counts),
            tuple(accumulate(count for _, count in counts)),
            tuple(islice(_products(directory), PRODUCTS)),
        )

    @classmethod
    def of_path(cls, path: Path) -> Traffic:
        """A shop's folder, or a file of queries alone."""
        return cls.of_shop(path) if path.is_dir() else cls(read_queries(path))


def read_queries(file: Path) -> tuple[str, ...]:
    """Distinct queries of a CSV or JSON Lines file (column ``query``), or of a text file (one a line).

    What stands there most often comes first; of equals, what stands there first.

    Raises:
        ValueError: the file holds no query.
    """
    if file.suffix == ".csv":
        found = _column(file, "query")
    elif file.suffix == ".jsonl":
        found = _lines(file, "query")
    else:
        found = iter(file.read_text("utf-8").splitlines())
    counts = Counter(query.strip() for query in found if query.strip())
    if not counts:
        raise ValueError(f"{file}: no query")
    return tuple(query for query, _ in counts.most_common())


class Zipf:
    """Draws places 0 … n-1 with probability ∝ 1/(place+1)^s: a few queries make most of a shop's traffic."""

    def __init__(self, count: int, exponent: float = 1.0) -> None:
        self._bounds = list(accumulate((place + 1) ** -exponent for place in range(count)))

    def draw(self, random_numbers: random.Random) -> int:
        """One place."""
        return bisect(self._bounds, random_numbers.random() * self._bounds[-1], hi=len(self._bounds) - 1)


def never_repeated(queries: Sequence[str], seed: int = 7) -> Iterator[str]:
    """The queries in random order, then again with a new number behind each: no response cache can help."""
    order = list(queries)
    random.Random(seed).shuffle(order)
    yield from order
    number = 100
    while True:
        for query in order:
            number += 1
            yield f"{query} {number}"


def _column(file: Path, name: str) -> Iterator[str]:
    with file.open(encoding="utf-8", newline="") as stream:
        reader = csv.DictReader(stream)
        if name not in (reader.fieldnames or ()):
            raise ValueError(f"{file}: no column {name!r}, there are {reader.fieldnames}")
        for row in reader:
            yield row[name]


def _lines(file: Path, name: str) -> Iterator[str]:
    return (document[name] for document in _documents(file))


def _documents(file: Path) -> Iterator[dict[str, Any]]:
    with file.open(encoding="utf-8") as stream:
        for line in stream:
            if line.strip():
                yield json.loads(line)


def _products(directory: Path) -> Iterator[Mapping[str, Any]]:
    if (file := directory / "products.jsonl").is_file():
        yield from _documents(file)
    elif (file := directory / "products.csv").is_file():
        with file.open(encoding="utf-8", newline="") as stream:
            for row in csv.DictReader(stream):
                # Texts of a CSV are no numbers or maps; what has to be there is enough for an update.
                yield {name: row[name] for name in ("id", "title")}
