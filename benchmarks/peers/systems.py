"""The peers: how each is started, asked and read, and what was chosen for it."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from benchmarks.peers.http_load import post
from benchmarks.peers.pipeline import DIVERSITY, K

SERVERS = "benchmarks.peers.servers"
Document = dict[str, Any]


@dataclass(frozen=True)
class Dialect:
    """How a server is asked over HTTP.

    Attributes:
        search: query → a whole request for K products.
        candidates: query → a whole request for all candidates, where it tells them.
        ids: body of an answer → product ids, best first.
    """

    search: Callable[[str], bytes]
    candidates: Callable[[str], bytes]
    ids: Callable[[bytes], list[str]]


@dataclass(frozen=True)
class Peer:
    """One way to build it.

    Attributes:
        name: in figures and on the command line.
        title: for people.
        package: what has to be in the peers' environment.
        encoder: ``onnx`` (int8) or ``torch`` (fp32).
        command: arguments after the environment's ``bin/``; ``{port}`` and ``{second}`` are filled in.
        choices: the settings that were chosen, in one sentence.
    """

    name: str
    title: str
    package: str
    encoder: str
    command: tuple[str, ...]
    dialect: Dialect
    choices: str


def _plain(path: str, query: str, **more: float) -> bytes:
    return post(path, {"query": query, **more})


def _triton_input(name: str, datatype: str, value: object, shape: list[int]) -> Document:
    return {"name": name, "shape": shape, "datatype": datatype, "data": [value]}


def triton_search(query: str, model: str = "search", ids: str = "item_id", score: str = "score") -> bytes:
    """A request to Endcap: K products, diversity on, no shopper, ids and scores back."""
    shape = [1, 1] if ids == "item_id" else [1]
    inputs = [
        _triton_input("query", "BYTES", query, shape),
        _triton_input("k", "INT32", K, shape),
        _triton_input("diversity", "FP32", DIVERSITY, shape),
    ]
    return post(f"/v2/models/{model}/infer", {"inputs": inputs, "outputs": [{"name": ids}, {"name": score}]})


def _triton_candidates(query: str) -> bytes:
    return post("/v2/models/candidates/infer", {"inputs": [_triton_input("query", "BYTES", query, [1])]})


def triton_ids(body: bytes, name: str = "item_id") -> list[str]:
    """The ids of Triton's JSON."""
    return next(each["data"] for each in json.loads(body)["outputs"] if each["name"] == name)


def plain_ids(body: bytes) -> list[str]:
    """The ids of ``{"ids": […], "scores": […]}``."""
    return list(json.loads(body)["ids"])


_search = partial(_plain, "/search", k=K, diversity=DIVERSITY)
TWO_PATHS = Dialect(_search, partial(_plain, "/candidates"), plain_ids)
ONE_PATH = Dialect(_search, partial(_plain, "/search", candidates=True), plain_ids)
PYTRITON = Dialect(
    partial(triton_search, ids="ids", score="scores"), _triton_candidates, partial(triton_ids, name="ids")
)

TORCH = "fastapi_torch"
PEERS = (
    Peer(
        TORCH,
        "FastAPI, PyTorch",
        "sentence_transformers",
        "torch",
        ("python", "-m", f"{SERVERS}.fastapi_app", "{port}", "torch"),
        TWO_PATHS,
        "two uvicorn workers on uvloop and httptools, one torch thread each, no gradients",
    ),
    Peer(
        "fastapi_onnx",
        "FastAPI, ONNX int8",
        "fastapi",
        "onnx",
        ("python", "-m", f"{SERVERS}.fastapi_app", "{port}", "onnx"),
        TWO_PATHS,
        "two uvicorn workers on uvloop and httptools",
    ),
    Peer(
        "litserve",
        "LitServe",
        "litserve",
        "onnx",
        ("python", "-m", f"{SERVERS}.litserve_app", "{port}"),
        ONE_PATH,
        "two workers, one HTTP process, no batching, no request timeout",
    ),
    Peer(
        "bentoml",
        "BentoML",
        "bentoml",
        "onnx",
        ("bentoml", "serve", f"{SERVERS}.bentoml_app:Search", "--host", "127.0.0.1", "--port", "{port}"),
        TWO_PATHS,
        "one service with two workers, no batching, no access log",
    ),
    Peer(
        "ray_serve",
        "Ray Serve",
        "ray",
        "onnx",
        ("python", "-m", f"{SERVERS}.ray_app", "{port}"),
        ONE_PATH,
        "two replicas behind one proxy, no dashboard, no access log",
    ),
    Peer(
        "pytriton",
        "PyTriton",
        "pytriton",
        "onnx",
        ("python", "-m", f"{SERVERS}.pytriton_app", "{port}", "{second}"),
        PYTRITON,
        "two instances (threads of one process, as PyTriton has them), no batching",
    ),
)
