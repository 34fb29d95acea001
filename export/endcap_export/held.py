"""The held evaluation set that a release carries, so that a later one can be compared with it."""

from __future__ import annotations

import gzip
import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from endcap_rerank.errors import ReleaseError

from endcap_export.bio import TaggedQuery
from endcap_export.data import Judgment

MOST_TAGGED = 500
"""Most tagged queries of a held set."""

MOST_JUDGED = 300
"""Most judged queries of a held set."""

MOST_GRADES = 50
"""Most judged products of one query."""

LEAST_GRADES = 5
"""Fewest judged products of a query whose order says something."""


@dataclass(frozen=True)
class HeldSet:
    """Queries that a release was not trained on, with what is right for them.

    The products' texts are not in it: they lie in the index of the release.

    Attributes:
        tagged: queries with a label on each token.
        judged: query → product id → grade; at least five products a query, and more than one grade.
    """

    tagged: tuple[TaggedQuery, ...] = ()
    judged: Mapping[str, Mapping[str, float]] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.tagged or self.judged)

    @classmethod
    def of(cls, tagged: Sequence[TaggedQuery], judgments: Sequence[Judgment]) -> HeldSet:
        """As much of the held-out data as a comparison needs, the same queries at each build."""
        grades: dict[str, dict[str, float]] = {}
        for judgment in judgments:
            grades.setdefault(judgment.query, {})[judgment.item] = judgment.relevance
        telling = [
            query
            for query, of_query in grades.items()
            if len(of_query) >= LEAST_GRADES and len(set(of_query.values())) > 1
        ]
        by_text = {query.text: query for query in tagged}
        return cls(
            tuple(by_text[text] for text in stable_order(by_text)[:MOST_TAGGED]),
            {query: _spread_over_grades(grades[query]) for query in stable_order(telling)[:MOST_JUDGED]},
        )

    def write(self, file: Path) -> None:
        """Write the set as gzipped JSON; the same set gives the same bytes."""
        document = {
            "tagged": [[query.text, query.starts, query.labels] for query in self.tagged],
            "judged": self.judged,
        }
        content = json.dumps(document, ensure_ascii=False).encode("utf-8")
        file.write_bytes(gzip.compress(content, mtime=0))

    @classmethod
    def read(cls, file: Path) -> HeldSet:
        """Read what ``write`` wrote; an empty set where there is no file.

        Raises:
            ReleaseError: the file is damaged.
        """
        try:
            document = json.loads(gzip.decompress(file.read_bytes()))
            tagged = tuple(
                TaggedQuery(text, tuple(starts), tuple(labels)) for text, starts, labels in document["tagged"]
            )
            return cls(tagged, dict(document["judged"]))
        except FileNotFoundError:
            return cls()
        except (OSError, EOFError, ValueError, KeyError, TypeError) as error:
            raise ReleaseError(f"{file}: not a held evaluation set ({error})") from error


def stable_order(texts: Iterable[str], seed: int = 0) -> list[str]:
    """Distinct texts in an order that is as good as random, and stays when other texts come or go.

    So the held-out tenth of a query log is nearly the same a month later, and a release is not compared
    on queries that the one before was trained on.
    """
    return sorted(set(texts), key=lambda text: hashlib.sha256(f"{seed} {text}".encode()).digest())


def _spread_over_grades(grades: dict[str, float]) -> dict[str, float]:
    """``MOST_GRADES`` of a query's products at most, from the best to the worst."""
    ranked = sorted(grades.items(), key=lambda item: (-item[1], item[0]))
    if len(ranked) <= MOST_GRADES:
        return dict(ranked)
    step = (len(ranked) - 1) / (MOST_GRADES - 1)
    return dict(ranked[round(position * step)] for position in range(MOST_GRADES))
