"""How near the first products of searches are to their queries, by two readings of the metrics page.

A product's score compares within one list only, so nothing could be said by its distribution over lists; the
cosine of query and product is the same scale for every query of one encoder.
"""

from __future__ import annotations

import re
import urllib.request
from collections.abc import Sequence
from itertools import pairwise

from endcap_rerank.errors import InvalidInputError
from endcap_rerank.metrics import SIMILARITY

from endcap_export.monitor.psi import Drift, drift

_BUCKET = re.compile(rf"^{SIMILARITY.name}_bucket\{{(.*)\}} (\S+)$", re.MULTILINE)
_BOUND = re.compile(r'\ble="([^"]*)"')


def read_page(place: str) -> str:
    """The text of a metrics page.

    Args:
        place: URL or file.

    Raises:
        InvalidInputError: it cannot be read.
    """
    try:
        if place.startswith(("http://", "https://")):
            with urllib.request.urlopen(place, timeout=10) as response:
                return str(response.read().decode("utf-8"))
        with open(place, encoding="utf-8") as file:
            return file.read()
    except (OSError, ValueError) as error:
        expected = f"the URL or a saved file of a server's metrics page is expected ({error})"
        raise InvalidInputError("page", place, expected) from None


def similarity_drift(before: str, now: str) -> Drift:
    """What was counted up to the first page against what was counted between the two.

    Where a count has fallen the server was started anew, and what it counted since then is taken.

    Args:
        before, now: texts of the page.

    Raises:
        InvalidInputError: a page is not of an Endcap that counts this.
    """
    old, new = _counts(before), _counts(now)
    since = [after - ahead for ahead, after in zip(old, new, strict=True)]
    return drift(old, since if min(since) >= 0 else new)


def _counts(page: str) -> Sequence[float]:
    """Own count of each bucket."""
    sums = {
        bound.group(1): float(value)
        for labels, value in _BUCKET.findall(page)
        if (bound := _BOUND.search(labels))
    }
    bounds = [*(f"{bound:g}" for bound in SIMILARITY.buckets), "+Inf"]
    if set(sums) != set(bounds):
        expected = f"a page with the buckets of {SIMILARITY.name} is expected"
        raise InvalidInputError("page", f"{len(sums)} buckets", expected)
    cumulated = [0.0, *(sums[bound] for bound in bounds)]
    return [upper - lower for lower, upper in pairwise(cumulated)]
