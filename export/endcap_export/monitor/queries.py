"""What is asked: whether the mix of queries, their lengths and their scripts have moved."""

from __future__ import annotations

import zlib
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Sequence

from endcap_rerank.tags import is_cjk

from endcap_export.monitor.lists import ShownList
from endcap_export.monitor.psi import Drift, drift

HEADS = 20
"""Most frequent queries of the baseline, each a bucket of its own."""
RESTS = 12
"""Buckets into which all other queries fall by their hash: no query needs to be kept or shown."""
LENGTHS = (4, 8, 12, 16, 24, 32, 48)
"""Upper bounds of the buckets of lengths, in characters."""
SCRIPTS = ("letters", "CJK", "both", "neither")
"""Stands for the language: letters other than Chinese, Japanese and Korean; those; both; numbers only."""


def query_drifts(before: Sequence[ShownList], now: Sequence[ShownList]) -> dict[str, Drift]:
    """``queries``, ``lengths`` and ``scripts`` of the lists of two windows."""
    old, new = ([" ".join(one.query.casefold().split()) for one in lists] for lists in (before, now))
    heads = {query: place for place, (query, _) in enumerate(Counter(old).most_common(HEADS))}

    def bucket(query: str) -> int:
        return heads.get(query, HEADS + zlib.crc32(query.encode("utf-8", "surrogatepass")) % RESTS)

    return {
        "queries": _moved(map(bucket, old), map(bucket, new), HEADS + RESTS),
        "lengths": _moved(map(_length, old), map(_length, new), len(LENGTHS) + 1),
        "scripts": _moved(map(_script, old), map(_script, new), len(SCRIPTS)),
    }


def _moved(before: Iterable[int], now: Iterable[int], buckets: int) -> Drift:
    one, other = Counter(before), Counter(now)
    return drift([one[at] for at in range(buckets)], [other[at] for at in range(buckets)])


def _length(query: str) -> int:
    return bisect_left(LENGTHS, len(query))


def _script(query: str) -> int:
    cjk = any(map(is_cjk, query))
    others = any(char.isalpha() and not is_cjk(char) for char in query)
    return (3, 0, 1, 2)[2 * cjk + others]
