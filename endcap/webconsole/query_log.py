"""Suggestions from what shoppers searched for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from endcap_export.rows import EXTENSIONS, DataError, read_table

NAMES = ("queries", "judgments", "judgments.train")
"""Files of a shop's folder that have a column ``query``, best first."""

LIMIT = 8


class QueryLog:
    """Queries by how often they were asked."""

    def __init__(self, queries: Iterable[str] = ()) -> None:
        counts = Counter(" ".join(query.split()) for query in queries)
        del counts[""]
        # Ties keep the order of the file.
        self._queries = [(query, query.casefold()) for query, _ in counts.most_common()]

    @classmethod
    def read(cls, path: Path) -> QueryLog:
        """Read a shop's folder, a table with a column ``query``, or a text file with a query a line.

        Raises:
            DataError: nothing to read there, or too many bad rows.
        """
        file = _file_of(path) if path.is_dir() else path
        if file.suffix == ".txt":
            try:
                return cls(file.read_text("utf-8").splitlines())
            except (OSError, UnicodeDecodeError) as error:
                raise DataError(f"{file}: a text file with one query a line is expected ({error})") from None
        loaded = read_table(
            file, lambda row, line: str(row.get("query") or ""), required=("query",), known=("query",)
        )
        return cls(loaded.rows)

    def __len__(self) -> int:
        return len(self._queries)

    def suggest(self, text: str, limit: int = LIMIT) -> list[str]:
        """Queries that go on from ``text``, then those that have all its words, then those that contain it.

        Within each the most asked come first. A blank ``text`` gives the most asked of all.
        """
        typed = " ".join(text.casefold().split())
        if not typed:
            return [query for query, _ in self._queries[:limit]]
        words = typed.split()
        found: tuple[list[str], list[str], list[str]] = ([], [], [])
        for query, folded in self._queries:
            if folded == typed:
                continue
            if folded.startswith(typed):
                found[0].append(query)
                if len(found[0]) >= limit:
                    break
            elif all(any(part.startswith(word) for part in folded.split()) for word in words):
                found[1].append(query)
            elif typed in folded:
                found[2].append(query)
        return [query for tier in found for query in tier][:limit]


def _file_of(folder: Path) -> Path:
    for name in NAMES:
        for extension in EXTENSIONS:
            if (file := folder / f"{name}{extension}").is_file():
                return file
    raise DataError(
        f"{folder}: no queries; {' or '.join(NAMES)} with one of {', '.join(EXTENSIONS)} is expected"
    )
