"""PyTriton: two instances of the search, each a thread behind the same tritonserver; batching off."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import numpy as np
from pytriton.decorators import sample
from pytriton.model_config import ModelConfig, Tensor
from pytriton.triton import Triton, TritonConfig

from benchmarks.peers.pipeline import Pipeline


def ranking(found: dict[str, list[Any]]) -> dict[str, np.ndarray]:
    """Ids and scores as tensors."""
    return {
        "ids": np.char.encode(np.array(found["ids"]), "utf-8"),
        "scores": np.array(found["scores"], np.float32),
    }


def searching(pipeline: Pipeline) -> Callable[..., Any]:
    """One search a call."""

    @sample
    def search(query: np.ndarray, k: np.ndarray, diversity: np.ndarray) -> dict[str, Any]:
        return ranking(pipeline.search(query[0].decode("utf-8"), int(k[0]), float(diversity[0])))

    return search


def collecting(pipeline: Pipeline) -> Callable[..., Any]:
    """All candidates of a query a call."""

    @sample
    def candidates(query: np.ndarray) -> dict[str, Any]:
        return ranking(pipeline.candidates(query[0].decode("utf-8")))

    return candidates


if __name__ == "__main__":
    port = int(sys.argv[1])
    config = TritonConfig(
        http_address="127.0.0.1", http_port=port, grpc_port=int(sys.argv[2]), allow_metrics=False
    )
    query = Tensor(name="query", dtype=bytes, shape=(1,))
    found = [
        Tensor(name="ids", dtype=bytes, shape=(-1,)),
        Tensor(name="scores", dtype=np.float32, shape=(-1,)),
    ]
    with Triton(config=config) as triton:
        pipelines = [Pipeline() for _ in range(2)]
        triton.bind(
            model_name="search",
            infer_func=[searching(pipeline) for pipeline in pipelines],
            inputs=[
                query,
                Tensor(name="k", dtype=np.int32, shape=(1,)),
                Tensor(name="diversity", dtype=np.float32, shape=(1,)),
            ],
            outputs=found,
            config=ModelConfig(batching=False),
        )
        triton.bind(
            model_name="candidates",
            infer_func=collecting(pipelines[0]),
            inputs=[query],
            outputs=found,
            config=ModelConfig(batching=False),
        )
        triton.serve()
