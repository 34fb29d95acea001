"""Handing what a model counted to Triton's metrics page, once a second."""

from __future__ import annotations

import threading
from typing import Any

from endcap_rerank.metrics import INFO, Family, Measures, Series, series_of
from endcap_rerank.release import Release

INTERVAL = 1.0
"""Seconds between two handings over."""

SPREAD = 0.5
"""Seconds over which the lines of one handing over are spread.

Triton's stub holds the GIL from a line's message until Triton has taken it. The 130 lines of a busy `rerank`,
one right after the other, kept a search waiting for up to 47 ms, each second.
"""


class MetricsPage:
    """Puts a model's ``Measures`` on Triton's page until it is closed.

    All instances of a model add to the same lines: Triton keeps one series for each set of labels. So a
    histogram cannot be Triton's own kind, which takes one observation a call: its lines are counters named
    as Prometheus names a histogram's, which every query for histograms reads.
    """

    def __init__(self, triton: Any, measures: Measures, release: Release, version: str) -> None:
        """
        Args:
            triton: Triton's ``triton_python_backend_utils``, or what has its ``MetricFamily``.
            measures: what the model counts.
            release: what it serves.
            version: of the Triton model.
        """
        self._triton = triton
        self._measures = measures
        self._families: list[Any] = []
        self._metrics: dict[Series, Any] = {}
        for family in measures.families.values():
            self._add(family)
        info = self._family(INFO.name, "gauge", INFO.help)
        self._info = info.Metric(labels={"model": measures.model, "version": version, "release": release.id})
        self._info.set(1.0)
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="metrics", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Hand over what is left and end this version's line of the release."""
        self._closing.set()
        self._thread.join()
        self._info.set(0.0)

    def _run(self) -> None:
        while not self._closing.wait(INTERVAL):
            # Again: Triton loads a version anew before it ends the old instances, which set the line to 0.
            self._info.set(1.0)
            self._hand_over(SPREAD)
        self._hand_over(0.0)

    def _hand_over(self, seconds: float) -> None:
        taken = self._measures.take()
        # Backwards, a histogram's widest bucket first: none counts more than a wider one in between.
        for series, amount in reversed(taken.increments.items()):
            self._closing.wait(seconds / len(taken.increments))
            self._metrics[series].increment(amount)
        for series, amount in taken.gauges.items():
            self._metrics[series].set(amount)

    def _add(self, family: Family) -> None:
        kind = "gauge" if family.kind == "gauge" else "counter"
        exposed: dict[str, Any] = {}
        for series in series_of(family):
            if series.name not in exposed:
                exposed[series.name] = self._family(series.name, kind, family.help)
            labels = {"model": self._measures.model}
            if family.label:
                labels[family.label] = series.value
            if series.le:
                labels["le"] = series.le
            # Made now, at zero: a rate needs a line from which the first increment rises.
            self._metrics[series] = exposed[series.name].Metric(labels=labels)

    def _family(self, name: str, kind: str, description: str) -> Any:
        kinds = self._triton.MetricFamily
        made = kinds(
            name=name, description=description, kind=kinds.GAUGE if kind == "gauge" else kinds.COUNTER
        )
        # A family that is collected takes its lines from the page.
        self._families.append(made)
        return made
