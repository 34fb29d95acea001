"""A watch as Prometheus reads it: a file for the textfile collector of its node exporter.

A watch is a job that ends, and a file needs nothing beside it: no gateway to run, none that would show the
last values for ever. `endcap_monitor_timestamp_seconds` tells how old they are.
"""

from __future__ import annotations

import math
import os
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from endcap_rerank.errors import InvalidInputError

from endcap_export.monitor.engagement import Engagement, Rate
from endcap_export.monitor.run import Watch

_HELP = {
    "endcap_monitor_timestamp_seconds": "When `endcap monitor` has looked.",
    "endcap_monitor_until_timestamp_seconds": "End of the window that it looked at.",
    "endcap_monitor_psi": "Population stability index against the baseline.",
    "endcap_monitor_psi_chance": "What the index stays below in 19 of 20 cases without any change.",
    "endcap_monitor_lists": "Lists of searches in the window.",
    "endcap_monitor_impressions": "Products shown in them, by views.",
    "endcap_monitor_click_through": "Clicked share of products shown; value, low and high of 95 %.",
    "endcap_monitor_place_click_through": "The same of each place, from 0.",
    "endcap_monitor_ndcg": "nDCG@10 by clicks; value, low and high of 95 %.",
}

RELEASES = 10
"""Most releases that become lines, those with the most lists: a release is what a caller says it is."""

Line = tuple[str, str, float]
"""Name, labels, value."""


def write_textfile(watch: Watch, file: Path, *, now: float | None = None) -> None:
    """Write ``exposition`` at once: a collector never reads half of it.

    Raises:
        InvalidInputError: a name that the collector does not read, or the file cannot be written.
    """
    if file.suffix != ".prom":
        raise InvalidInputError("prometheus", str(file), "a name that ends in .prom is expected")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        handle, draft = tempfile.mkstemp(dir=file.parent, prefix=f".{file.name}.")
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as stream:
                stream.write(exposition(watch, time.time() if now is None else now))
            # The collector runs as another user; there is nothing of a shopper in it.
            os.chmod(draft, 0o644)
            os.replace(draft, file)
        except BaseException:
            os.unlink(draft)
            raise
    except OSError as error:
        expected = f"a file that can be written is expected ({error})"
        raise InvalidInputError("prometheus", str(file), expected) from None


def exposition(watch: Watch, now: float) -> str:
    """The text format of Prometheus, version 0.0.4."""
    lines: dict[str, list[str]] = {}
    for name, labels, value in _lines(watch, now):
        text = "NaN" if math.isnan(value) else repr(float(value))
        lines.setdefault(name, []).append(f"{name}{{{labels}}} {text}" if labels else f"{name} {text}")
    return "".join(
        f"# HELP {name} {_HELP[name]}\n# TYPE {name} gauge\n" + "\n".join(series) + "\n"
        for name, series in lines.items()
    )


def _lines(watch: Watch, now: float) -> Iterator[Line]:
    yield "endcap_monitor_timestamp_seconds", "", now
    yield "endcap_monitor_until_timestamp_seconds", "", watch.until
    for name, drift in watch.drifts.items():
        if not math.isnan(drift.psi):
            yield "endcap_monitor_psi", f'what="{name}"', drift.psi
            yield "endcap_monitor_psi_chance", f'what="{name}"', drift.chance
    yield from _engagement("all", watch.all)
    most = sorted(watch.releases.items(), key=lambda each: -each[1].lists)[:RELEASES]
    for release, engagement in most:
        yield from _engagement(release, engagement)
    for place, rate in enumerate(watch.places):
        yield from _bounds("endcap_monitor_place_click_through", f'position="{place}"', rate)


def _engagement(release: str, engagement: Engagement) -> Iterator[Line]:
    labels = f'release="{release}"'
    yield "endcap_monitor_lists", labels, engagement.lists
    yield "endcap_monitor_impressions", labels, engagement.click_through.of
    yield from _bounds("endcap_monitor_click_through", labels, engagement.click_through)
    yield from _bounds("endcap_monitor_ndcg", labels, engagement.ndcg)


def _bounds(name: str, labels: str, rate: Rate) -> Iterator[Line]:
    if rate.value is not None:
        for bound in ("value", "low", "high"):
            yield name, f'{labels},bound="{bound}"', getattr(rate.value, bound)
