"""A server's traffic over the last minutes, from its metrics page."""

from __future__ import annotations

import asyncio
import itertools
import re
import time
import urllib.request
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

INTERVAL = 2.0
"""Seconds between two looks at the page."""

KEPT = 150
"""Looks that are kept: five minutes."""

RECENT = 60.0
"""Seconds over which the stages' times are averaged."""

MODELS = ("search", "recommend", "feedback")
STEPS = ("tokenize", "encode", "rerank")
STAGES = ("retrieve", "rank", "diversify", "answer")
_TIMEOUT = 2.0
_MAX_BYTES = 8 << 20
_LINE = re.compile(r"^([a-zA-Z_:]\w*)(?:\{(.*)\})? (\S+)$", re.MULTILINE)
_LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')
_COUNTED = {
    "nv_inference_request_success": "ok",
    "nv_inference_request_failure": "failed",
    "nv_inference_request_duration_us": "us",
    "nv_cache_num_hits_per_model": "hits",
    "nv_cache_num_misses_per_model": "misses",
    "endcap_stage_milliseconds_sum": "stage_ms",
    "endcap_stage_milliseconds_count": "stage_n",
}
_CANCELLED = "CANCELED"

Counts = Mapping[tuple[str, str], float]
"""(what, of which model or stage) → the sum over versions."""


def read_page(text: str) -> Counts:
    """The counters that the console shows, from a page in Prometheus' text format."""
    counts: dict[tuple[str, str], float] = {}
    for name, labels, value in _LINE.findall(text):
        what = _COUNTED.get(name)
        if what is None:
            continue
        found = dict(_LABEL.findall(labels))
        if found.get("reason") == _CANCELLED or (what.startswith("stage") and found.get("model") != "rerank"):
            continue
        key = what, found.get("stage") or found.get("model", "")
        counts[key] = counts.get(key, 0.0) + float(value)
    return counts


@dataclass(frozen=True)
class Look:
    """The counters at a moment; ``at`` in seconds of a clock that only goes forward."""

    at: float
    counts: Counts

    def since(self, before: Look, what: str, of: str) -> float:
        """How much a counter rose; never negative: a server that was restarted begins at zero."""
        now = self.counts.get((what, of), 0.0)
        return now - earlier if now >= (earlier := before.counts.get((what, of), 0.0)) else now

    def mean(self, before: Look, total: str, number: str, of: str) -> float | None:
        """Mean of what was added since; None where nothing was."""
        count = self.since(before, number, of)
        return self.since(before, total, of) / count if count else None


class Traffic:
    """Looks at one metrics page again and again.

    Attributes:
        error: why the last look failed; None when it did not.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self.error: str | None = None
        self._looks: deque[Look] = deque(maxlen=KEPT)

    async def watch(self) -> None:
        """Look every INTERVAL seconds until cancelled."""
        while True:
            await self.look()
            await asyncio.sleep(INTERVAL)

    async def look(self) -> None:
        """Look once."""
        try:
            page = await asyncio.to_thread(_fetch, self.url)
            self._looks.append(Look(time.monotonic(), read_page(page)))
            self.error = None
        except (OSError, ValueError) as error:
            self.error = f"{self.url}: {error}"

    def document(self) -> dict[str, Any]:
        """Rates and mean times between neighbouring looks, oldest first, and the stages of late."""
        looks = list(self._looks)
        now = time.monotonic()
        return {
            "error": self.error,
            "samples": [_sample(before, look, now - look.at) for before, look in itertools.pairwise(looks)],
            **_recent(looks),
        }


def _sample(before: Look, look: Look, age: float) -> dict[str, Any]:
    span = look.at - before.at
    rates = {model: round(look.since(before, "ok", model) / span, 3) for model in MODELS}
    failed = sum(look.since(before, "failed", model) for model in MODELS) / span
    took = look.mean(before, "us", "ok", "search")
    return {
        "age": round(age, 1),
        **rates,
        "failed": round(failed, 3),
        "milliseconds": None if took is None else round(took / 1e3, 3),
    }


def _recent(looks: list[Look]) -> dict[str, Any]:
    """Mean milliseconds of a search and of its stages over the last minute, and the cache's share of hits."""
    if len(looks) < 2:
        return {"stages": {}, "milliseconds": None, "cache_hits": None}
    last = looks[-1]
    before = next(look for look in looks if last.at - look.at <= RECENT)
    before = looks[-2] if before is last else before
    stages: dict[str, float] = {}
    for step in STEPS:
        took = last.mean(before, "us", "ok", step)
        if took is not None:
            stages[step] = round(took / 1e3, 3)
    inner = {stage: last.mean(before, "stage_ms", "stage_n", stage) for stage in STAGES}
    known = {stage: round(took, 3) for stage, took in inner.items() if took is not None}
    if known and "rerank" in stages:
        # What is left of the step is its queue, and reading and writing tensors.
        stages["rerank"] = round(max(0.0, stages["rerank"] - sum(known.values())), 3)
        stages.update(known)
    whole = last.mean(before, "us", "ok", "search")
    hits, misses = last.since(before, "hits", "encode"), last.since(before, "misses", "encode")
    return {
        "stages": stages,
        "milliseconds": None if whole is None else round(whole / 1e3, 3),
        "cache_hits": round(hits / (hits + misses), 3) if hits + misses else None,
    }


def _fetch(url: str) -> str:
    with urllib.request.urlopen(url, timeout=_TIMEOUT) as page:
        body: bytes = page.read(_MAX_BYTES)
    return body.decode("utf-8", "replace")
