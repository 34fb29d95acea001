"""Many requests at once from one thread: gRPC without the cost of building and reading tensors."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import grpc
import grpc.aio
from tritonclient.grpc import service_pb2

METHOD = "/inference.GRPCInferenceService/ModelInfer"
_TICK = 0.005


@dataclass
class Outcome:
    """What became of the requests of a run.

    Attributes:
        answered: seconds of each answer that came before the deadline.
        refused: seconds of each refusal (UNAVAILABLE).
        late: how many found no answer before the deadline.
        failed: messages of all others.
        seconds: how long requests were sent.
    """

    answered: list[float] = field(default_factory=list)
    refused: list[float] = field(default_factory=list)
    late: int = 0
    failed: list[str] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def sent(self) -> int:
        """How many requests there were."""
        return len(self.answered) + len(self.refused) + self.late + len(self.failed)

    @property
    def throughput(self) -> float:
        """Answers a second."""
        return len(self.answered) / max(self.seconds, 1e-9)


def search_requests(queries: Iterable[str], *, user: str = "", k: int = 10) -> Iterator[bytes]:
    """Serialized requests of ``search``, one for each query."""
    for query in queries:
        request = service_pb2.ModelInferRequest(model_name="search")
        _text(request, "query", query)
        if user:
            _text(request, "user", user)
        count = request.inputs.add(name="k", datatype="INT32", shape=[1, 1])
        count.contents.int_contents.append(k)
        for name in ("item_id", "score", "query_info"):
            request.outputs.add(name=name)
        yield request.SerializeToString()


def closed(url: str, requests: Iterator[bytes], *, seconds: float, workers: int, deadline: float) -> Outcome:
    """``workers`` callers, each of which asks again as soon as it is answered."""
    return asyncio.run(_closed(url, requests, seconds, workers, deadline))


def opened(url: str, requests: Iterator[bytes], *, seconds: float, rate: float, deadline: float) -> Outcome:
    """``rate`` requests a second, whatever becomes of them."""
    return asyncio.run(_opened(url, requests, seconds, rate, deadline))


async def _closed(
    url: str, requests: Iterator[bytes], seconds: float, workers: int, deadline: float
) -> Outcome:
    outcome = Outcome()
    began = time.monotonic()

    async def ask(call: grpc.aio.UnaryUnaryMultiCallable) -> None:
        while time.monotonic() - began < seconds:
            await _asked(call, next(requests), deadline, outcome)

    async with _channel(url) as channel:
        call = channel.unary_unary(METHOD)
        await asyncio.gather(*(ask(call) for _ in range(workers)))
    outcome.seconds = time.monotonic() - began
    return outcome


async def _opened(
    url: str, requests: Iterator[bytes], seconds: float, rate: float, deadline: float
) -> Outcome:
    outcome = Outcome()
    waiting: set[asyncio.Task[None]] = set()
    async with _channel(url) as channel:
        call = channel.unary_unary(METHOD)
        began = time.monotonic()
        for turn in itertools.count():
            now = time.monotonic() - began
            if now >= seconds:
                break
            due = int(now * rate) - turn_count(outcome, waiting)
            for _ in range(max(0, due)):
                task = asyncio.create_task(_asked(call, next(requests), deadline, outcome))
                waiting.add(task)
                task.add_done_callback(waiting.discard)
            await asyncio.sleep(max(0.0, (turn + 1) * _TICK - (time.monotonic() - began)) or 0.001)
        outcome.seconds = time.monotonic() - began
        await asyncio.gather(*waiting)
    return outcome


def turn_count(outcome: Outcome, waiting: set[asyncio.Task[None]]) -> int:
    """Requests that were begun so far."""
    return outcome.sent + len(waiting)


async def _asked(
    call: grpc.aio.UnaryUnaryMultiCallable, request: bytes, deadline: float, outcome: Outcome
) -> None:
    began = time.perf_counter()
    try:
        await call(request, timeout=deadline)
        outcome.answered.append(time.perf_counter() - began)
    except grpc.aio.AioRpcError as error:
        code = error.code()
        if code is grpc.StatusCode.UNAVAILABLE:
            outcome.refused.append(time.perf_counter() - began)
        elif code in (grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.CANCELLED):
            outcome.late += 1
        else:
            outcome.failed.append(f"{code.name}: {error.details()}")


def _channel(url: str) -> grpc.aio.Channel:
    return grpc.aio.insecure_channel(url, options=[("grpc.max_receive_message_length", -1)])


def _text(request: service_pb2.ModelInferRequest, name: str, value: str) -> None:
    tensor = request.inputs.add(name=name, datatype="BYTES", shape=[1, 1])
    tensor.contents.bytes_contents.append(value.encode())
