"""LitServe: two workers of one device, each a process; batching off, one process of its HTTP server."""

# No `from __future__ import annotations`: LitServe reads the type of `decode_request` to know what to parse.
import sys
from typing import Any

import litserve

from benchmarks.peers.pipeline import DIVERSITY, K, Pipeline


class Search(litserve.LitAPI):
    """The shared search behind LitServe's hooks."""

    def setup(self, device: str) -> None:
        self.pipeline = Pipeline()

    def decode_request(self, request: dict) -> dict:
        return request

    def predict(self, asked: dict[str, Any]) -> dict[str, Any]:
        if asked.get("candidates"):
            return self.pipeline.candidates(asked["query"])
        return self.pipeline.search(asked["query"], asked.get("k", K), asked.get("diversity", DIVERSITY))

    def encode_response(self, answer: dict[str, Any]) -> dict[str, Any]:
        return answer


if __name__ == "__main__":
    server = litserve.LitServer(
        Search(api_path="/search"), accelerator="cpu", devices=1, workers_per_device=2, timeout=False
    )
    server.run(
        host="127.0.0.1",
        port=int(sys.argv[1]),
        num_api_servers=1,
        generate_client_file=False,
        log_level="warning",
        access_log=False,
    )
