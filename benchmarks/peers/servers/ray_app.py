"""Ray Serve: two replicas of one deployment behind one proxy, on a Ray of this process alone."""

from __future__ import annotations

import signal
import sys
import threading
from typing import Any

import ray
from ray import serve
from starlette.requests import Request

from benchmarks.peers.pipeline import DIVERSITY, K, Pipeline


@serve.deployment(num_replicas=2, ray_actor_options={"num_cpus": 1}, max_ongoing_requests=16)
class Search:
    """The shared search as a deployment."""

    def __init__(self) -> None:
        self.pipeline = Pipeline()

    async def __call__(self, request: Request) -> dict[str, Any]:
        asked = await request.json()
        if asked.get("candidates"):
            return self.pipeline.candidates(asked["query"])
        return self.pipeline.search(asked["query"], asked.get("k", K), asked.get("diversity", DIVERSITY))


if __name__ == "__main__":
    ray.init(
        num_cpus=2,
        include_dashboard=False,
        log_to_driver=False,
        configure_logging=False,
        _node_ip_address="127.0.0.1",
    )
    serve.start(
        http_options={"host": "127.0.0.1", "port": int(sys.argv[1])},
        logging_config={"enable_access_log": False},
    )
    serve.run(Search.bind(), route_prefix="/search")
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    stop.wait()
    serve.shutdown()
    ray.shutdown()
