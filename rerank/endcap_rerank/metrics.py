"""What the models count while they serve: families, their buckets, and the sums of one process.

Nothing here knows Triton: ``metrics_page`` puts the sums on its page. Every label has a closed set of values
written down below; nothing of a shopper or of a query can become one.
"""

from __future__ import annotations

import threading
from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from endcap_rerank.schema import EVENT_WEIGHTS

MILLISECONDS = (0.5, 1.0, 2.0, 3.0, 5.0, 8.0, 12.0, 20.0, 35.0, 60.0, 100.0, 200.0, 500.0, 2000.0)
CANDIDATES = (0.0, 1.0, 10.0, 50.0, 100.0, 150.0, 200.0, 300.0, 500.0, 1000.0)
COSINES = (0.1, 0.2, 0.3, 0.4, 0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95, 1.0)
SHARES = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)
LAG_SECONDS = (1.0, 5.0, 15.0, 60.0, 300.0, 1800.0, 3600.0, 21600.0, 86400.0, 604800.0)

STAGES = ("retrieve", "rank", "diversify", "answer", "whole")
CODES = ("invalid", "unavailable", "internal")


@dataclass(frozen=True)
class Family:
    """Metrics of one name.

    Attributes:
        name: without the suffixes of a histogram.
        kind: ``counter``, ``gauge`` or ``histogram``.
        help: one sentence for the metrics page.
        label: name of the one label beside ``model``; empty for none.
        values: every value that the label may have.
        buckets: upper bounds of a histogram, without infinity.
    """

    name: str
    kind: str
    help: str
    label: str = ""
    values: tuple[str, ...] = ("",)
    buckets: tuple[float, ...] = ()


FAILED = Family("endcap_failed_total", "counter", "Requests not answered, by whose fault.", "code", CODES)
RELEASED = Family("endcap_release_timestamp_seconds", "gauge", "When the served release was made.")
COMMON = (FAILED, RELEASED)
SIMILARITY = Family(
    "endcap_top_similarity", "histogram", "Cosine of a query and its first product.", buckets=COSINES
)

REPEATED = Family("endcap_repeated_total", "counter", "Lists served as they were answered before.")

ANSWERS = (
    Family("endcap_stage_milliseconds", "histogram", "Time of a stage.", "stage", STAGES, MILLISECONDS),
    Family("endcap_candidates", "histogram", "Products that retrieval handed over.", buckets=CANDIDATES),
    Family("endcap_answered_total", "counter", "Lists of products served."),
    Family("endcap_empty_total", "counter", "Lists without a product."),
    Family("endcap_filtered_total", "counter", "Lists narrowed by a filter, given or understood."),
    Family("endcap_personalized_total", "counter", "Lists fitted to the shopper or the session."),
    Family("endcap_cold_total", "counter", "Lists for a shopper of whom nothing is known."),
    Family("endcap_store_unreadable_total", "counter", "Lists not fitted because the events are unreadable."),
    Family(
        "endcap_catalog_unreadable_total",
        "counter",
        "Lists made without the latest changes of the catalogue, which are unreadable.",
    ),
    Family("endcap_list_diversity", "histogram", "Intra-list diversity (1 - mean cosine).", buckets=SHARES),
    Family(
        "endcap_list_brand_entropy",
        "histogram",
        "Entropy of a list's brands, 1 = all differ.",
        buckets=SHARES,
    ),
)
FEEDBACK = (
    Family("endcap_events_total", "counter", "Events stored.", "event", tuple(EVENT_WEIGHTS)),
    Family("endcap_feedback_lag_seconds", "histogram", "Age of an event as it came.", buckets=LAG_SECONDS),
    Family("endcap_masked_total", "counter", "Events whose query held personal data."),
)
CHANGES = (
    Family("endcap_catalog_changes_total", "counter", "Products changed.", "operation", ("upsert", "delete")),
    Family("endcap_catalog_changed_timestamp_seconds", "gauge", "When the catalogue was last changed."),
)
FAMILIES: dict[str, tuple[Family, ...]] = {
    "tokenize": COMMON,
    "rerank": (*COMMON, *ANSWERS, SIMILARITY, REPEATED),
    "recommend": COMMON + ANSWERS,
    "feedback": COMMON + FEEDBACK,
    "catalog": COMMON + CHANGES,
}
"""What each Python model counts."""

INFO = Family("endcap_release_info", "gauge", "1 for the release that a model serves.")
"""Its labels are ``model``, ``version`` and ``release``: one series for each version that is loaded."""


class Series(NamedTuple):
    """One line of the metrics page.

    Attributes:
        name: as exposed, a histogram's suffix included.
        value: of the family's label; empty for none.
        le: upper bound of a histogram's bucket as Prometheus spells it; empty for none.
    """

    name: str
    value: str = ""
    le: str = ""


@dataclass
class Taken:
    """What was counted since the last time, and what gauges show now."""

    increments: dict[Series, float] = field(default_factory=dict)
    gauges: dict[Series, float] = field(default_factory=dict)


class Measures:
    """The sums of one process since they were last taken; for several threads.

    Counting costs about a microsecond. A call to Triton's page costs 20, so what is counted is added up here
    and handed over once a second.
    """

    def __init__(self, model: str) -> None:
        self.model = model
        self.families: Mapping[str, Family] = {family.name: family for family in FAMILIES[model]}
        self._lock = threading.Lock()
        self._counts: dict[tuple[str, str], float] = {}
        self._observed: dict[tuple[str, str], list[float]] = {}
        self._gauges: dict[tuple[str, str], float] = {}

    def count(self, name: str, value: str = "", by: float = 1.0) -> None:
        """Add to a counter; ``value`` is that of its label."""
        with self._lock:
            self._counts[name, value] = self._counts.get((name, value), 0.0) + by

    def observe(self, name: str, amount: float, value: str = "") -> None:
        """Add one observation to a histogram."""
        buckets = self.families[name].buckets
        with self._lock:
            sums = self._observed.get((name, value))
            if sums is None:
                # Of each bucket its own number, then those above the last bound, then the sum.
                sums = self._observed[name, value] = [0.0] * (len(buckets) + 2)
            sums[bisect_left(buckets, amount)] += 1.0
            sums[-1] += amount

    def set(self, name: str, amount: float, value: str = "") -> None:
        """Set a gauge."""
        with self._lock:
            self._gauges[name, value] = amount

    def take(self) -> Taken:
        """The sums since the last call; they start again from zero. Gauges that were not set are absent."""
        with self._lock:
            counts, self._counts = self._counts, {}
            observed, self._observed = self._observed, {}
            gauges, self._gauges = self._gauges, {}
        taken = Taken(
            {Series(name, value): amount for (name, value), amount in counts.items()},
            {Series(name, value): amount for (name, value), amount in gauges.items()},
        )
        for (name, value), sums in observed.items():
            for series, amount in zip(
                histogram_series(self.families[name], value), _cumulated(sums), strict=True
            ):
                if amount:
                    taken.increments[series] = amount
        return taken


def histogram_series(family: Family, value: str) -> list[Series]:
    """The lines of a histogram: a bucket for each bound and infinity, count, sum."""
    bounds = [*(f"{bound:g}" for bound in family.buckets), "+Inf"]
    return [
        *(Series(f"{family.name}_bucket", value, bound) for bound in bounds),
        Series(f"{family.name}_count", value),
        Series(f"{family.name}_sum", value),
    ]


def series_of(family: Family) -> list[Series]:
    """Every line that a family can have."""
    if family.kind == "histogram":
        return [series for value in family.values for series in histogram_series(family, value)]
    return [Series(family.name, value) for value in family.values]


def exposed_names(model: str) -> set[str]:
    """Names that a model adds to the metrics page."""
    return {series.name for family in FAMILIES[model] for series in series_of(family)} | {INFO.name}


def _cumulated(sums: list[float]) -> list[float]:
    """[own number of each bucket …, above, sum] as [buckets up to each bound …, all, all, sum]."""
    running, total = [], 0.0
    for own in sums[:-1]:
        total += own
        running.append(total)
    return [*running, total, sums[-1]]
