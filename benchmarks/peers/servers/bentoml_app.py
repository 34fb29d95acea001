"""BentoML: one service with two workers; batching off."""

from __future__ import annotations

from typing import Any

import bentoml

from benchmarks.peers.pipeline import DIVERSITY, K, Pipeline


@bentoml.service(workers=2, traffic={"timeout": 60}, logging={"access": {"enabled": False}})
class Search:
    """The shared search as a BentoML service."""

    def __init__(self) -> None:
        self.pipeline = Pipeline()

    @bentoml.api(route="/search")
    async def search(self, query: str, k: int = K, diversity: float = DIVERSITY) -> dict[str, Any]:
        return self.pipeline.search(query, k, diversity)

    @bentoml.api(route="/candidates")
    async def candidates(self, query: str) -> dict[str, Any]:
        return self.pipeline.candidates(query)
