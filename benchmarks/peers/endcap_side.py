"""Endcap as a peer among the peers: its server on a registered repository, asked over HTTP and gRPC."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import psutil
from tritonclient.grpc import service_pb2

from benchmarks import triton_metrics
from benchmarks.peers.grpc_load import GrpcLoad
from benchmarks.peers.http_load import HttpLoad
from benchmarks.peers.pipeline import DIVERSITY, K
from benchmarks.peers.processes import ProcessTree
from benchmarks.scratch_server import scratch_server
from endcap.launcher import Server

CACHE_MIB = 64
_MODEL = re.compile(r"/models/(\w+)/")


@dataclass(frozen=True)
class Running:
    """A started server."""

    server: Server
    http: HttpLoad
    grpc: GrpcLoad
    tree: ProcessTree
    state: Path

    def counted(self) -> triton_metrics.Reading:
        """What Triton counted so far."""
        return triton_metrics.read(self.server.metrics_url)


@contextlib.contextmanager
def running(repository: Path, *, cache: bool) -> Iterator[Running]:
    """A server with fresh stores.

    Raises:
        EndcapError: it does not start.
    """
    cache_mib = CACHE_MIB if cache else 0
    with scratch_server(repository, name="peers", cache_mib=cache_mib) as (server, state, _):
        http = HttpLoad(int(server.http_url.rpartition(":")[2]))
        grpc = GrpcLoad(server.grpc_url)
        try:
            tree = ProcessTree(psutil.Process(server.pid))
            yield Running(server, http, grpc, tree, state)
        finally:
            http.close()
            grpc.close()


def grpc_search(query: str) -> bytes:
    """A serialized request: K products, diversity on, no shopper, ids and scores back."""
    request = service_pb2.ModelInferRequest(model_name="search")
    text = query.encode("utf-8")
    tensors = (
        ("query", "BYTES", len(text).to_bytes(4, "little") + text),
        ("k", "INT32", np.int32(K).tobytes()),
        ("diversity", "FP32", np.float32(DIVERSITY).tobytes()),
    )
    for name, datatype, content in tensors:
        request.inputs.add(name=name, datatype=datatype, shape=[1, 1])
        request.raw_input_contents.append(content)
    for name in ("item_id", "score"):
        request.outputs.add(name=name)
    return bytes(request.SerializeToString())


def part(process: psutil.Process) -> str:
    """Which part of the server a process is: ``tritonserver``, or the model of a Python instance."""
    match = _MODEL.search(" ".join(process.cmdline()[1:2]))
    return match[1] if match else "tritonserver"
