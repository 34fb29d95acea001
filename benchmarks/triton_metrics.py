"""What Triton counts on its metrics page: time in queues and in models, the cache, the stages of ranking."""

from __future__ import annotations

import re
import urllib.request
from collections import defaultdict
from collections.abc import Mapping

_LINE = re.compile(r"^(?P<name>\w+)\{(?P<labels>[^}]*)\} (?P<value>\S+)$", re.MULTILINE)
_LABEL = re.compile(r'(\w+)="([^"]*)"')
_COMPUTE = tuple(f"nv_inference_compute_{part}_duration_us" for part in ("input", "infer", "output"))
_NAMES = {
    "nv_inference_request_success": "answered",
    "nv_inference_request_failure": "failed",
    "nv_inference_count": "computed",
    "nv_inference_exec_count": "batches",
    "nv_inference_request_duration_us": "request_us",
    "nv_inference_queue_duration_us": "queue_us",
    **dict.fromkeys(_COMPUTE, "compute_us"),
    "nv_cache_num_hits_per_model": "cache_hits",
    "nv_cache_num_misses_per_model": "cache_misses",
}
_STAGE = "endcap_stage_milliseconds"

Reading = Mapping[str, float]
"""``model/answered``, ``model/queue_us`` … and ``stage:NAME/ms``, ``stage:NAME/count``: sums so far."""


def read(url: str) -> dict[str, float]:
    """A reading of the page at ``url``.

    Raises:
        OSError: nobody answers there.
    """
    with urllib.request.urlopen(url, timeout=10) as response:
        return parse(response.read().decode("utf-8"))


def parse(page: str) -> dict[str, float]:
    """A reading of the page's text; versions of a model and reasons of failures are added up."""
    reading: dict[str, float] = defaultdict(float)
    for line in _LINE.finditer(page):
        labels = dict(_LABEL.findall(line["labels"]))
        if line["name"] in _NAMES:
            reading[f"{labels['model']}/{_NAMES[line['name']]}"] += float(line["value"])
        elif line["name"].startswith(_STAGE) and labels.get("model") == "rerank":
            kind = line["name"].removeprefix(f"{_STAGE}_")
            if kind in ("sum", "count"):
                reading[f"stage:{labels['stage']}/{'ms' if kind == 'sum' else 'count'}"] += float(
                    line["value"]
                )
    return dict(reading)


def between(earlier: Reading, later: Reading) -> dict[str, float]:
    """What was counted between two readings."""
    return {name: value - earlier.get(name, 0.0) for name, value in later.items()}


def models(counted: Reading) -> list[str]:
    """Models that were asked, the ensemble first."""
    asked = [
        name.partition("/")[0] for name, value in counted.items() if name.endswith("/answered") and value > 0
    ]
    return sorted(asked, key=lambda name: (name != "search", name))


def per_request(counted: Reading, model: str, what: str) -> float:
    """Mean milliseconds of ``queue_us``, ``compute_us`` or ``request_us`` of a model's request."""
    return counted.get(f"{model}/{what}", 0.0) / max(counted.get(f"{model}/answered", 0.0), 1.0) / 1000


def stages(counted: Reading) -> dict[str, float]:
    """Mean milliseconds of each stage of ranking, by name."""
    means = {}
    for name, total in counted.items():
        if name.startswith("stage:") and name.endswith("/ms"):
            stage = name.removeprefix("stage:").removesuffix("/ms")
            count = counted.get(f"stage:{stage}/count", 0.0)
            if count:
                means[stage] = total / count
    return means


def cache_share(counted: Reading) -> float | None:
    """Share of look-ups that the response cache answered; None without a look-up."""
    hits = sum(value for name, value in counted.items() if name.endswith("/cache_hits"))
    misses = sum(value for name, value in counted.items() if name.endswith("/cache_misses"))
    return hits / (hits + misses) if hits + misses else None
