"""What Triton itself counted: time per step, hits of the response cache."""

from __future__ import annotations

import re
import urllib.request
from dataclasses import dataclass
from typing import Any

from endcap_rerank.admin_key import GRPC_HEADER
from tritonclient.grpc import InferenceServerClient

_HITS = re.compile(r"^nv_cache_num_hits_per_model\{[^}]*\} (?P<value>\S+)", re.MULTILINE)


@dataclass(frozen=True)
class StepTime:
    """Mean milliseconds of a step of the ensemble since an earlier reading."""

    compute: float
    queue: float
    count: int


class Statistics:
    """Readings of a running server; two of them give what lay between."""

    def __init__(self, grpc_url: str, metrics_url: str, key: str) -> None:
        with InferenceServerClient(grpc_url) as client:
            answer: Any = client.get_inference_statistics(headers={GRPC_HEADER: key}, as_json=False)
        self._steps = {model.name: model.inference_stats for model in answer.model_stats}
        self._counts = {model.name: model.inference_count for model in answer.model_stats}
        with urllib.request.urlopen(metrics_url, timeout=10) as response:
            metrics = response.read().decode("utf-8")
        self.cache_hits = sum(float(match["value"]) for match in _HITS.finditer(metrics))
        """Requests that the response cache answered, of all models."""

    def since(self, earlier: Statistics, model: str) -> StepTime:
        """Time of a model between two readings, means per request."""
        now, then = self._steps[model], earlier._steps[model]
        count = now.success.count - then.success.count
        compute = sum(
            getattr(now, part).ns - getattr(then, part).ns
            for part in ("compute_input", "compute_infer", "compute_output")
        )
        queue = now.queue.ns - then.queue.ns
        per = max(count, 1) * 1e6
        return StepTime(compute / per, queue / per, count)
