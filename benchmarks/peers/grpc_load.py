"""Load over gRPC: requests are serialized beforehand and answers are not decoded, as in the HTTP client."""

from __future__ import annotations

import queue
import time
from collections.abc import Iterable, Iterator
from time import perf_counter, process_time
from typing import Any

import grpc

from benchmarks.peers.sample import BEHIND_SECONDS, REQUEST_SECONDS, LoadError, Sample

REFUSED = "Exceeds maximum queue size"
"""What Triton says where too many wait: at such a rate a server has not kept up, and is not broken."""
METHOD = "/inference.GRPCInferenceService/ModelInfer"


class GrpcLoad:
    """Requests to one server over one channel."""

    def __init__(self, url: str) -> None:
        self._channel = grpc.insecure_channel(url)
        self._call = self._channel.unary_unary(METHOD)

    def close(self) -> None:
        """Close the channel."""
        self._channel.close()

    def ask(self, request: bytes) -> bytes:
        """One request, its answer as it came."""
        answer: bytes = self._call(request, timeout=REQUEST_SECONDS)
        return answer

    def closed_loop(self, requests: Iterator[bytes], concurrency: int, seconds: float) -> Sample:
        """So many requests at a time, each followed at once by the next."""
        sample, done = Sample(), queue.SimpleQueue[Any]()
        processor, begin = process_time(), perf_counter()
        for _ in range(concurrency):
            self._send(next(requests), 0.0, begin, done)
        open_ones = concurrency
        while open_ones:
            self._take(done, sample)
            now = perf_counter() - begin
            if now < seconds:
                self._send(next(requests), now, begin, done)
            else:
                open_ones -= 1
        return self._ended(sample, processor, begin)

    def open_loop(self, requests: Iterator[bytes], due: Iterable[float], rate: float) -> Sample:
        """A request at each time of ``due``, whether or not earlier ones are answered."""
        sample, done = Sample(), queue.SimpleQueue[Any]()
        sent = 0
        # As many as the HTTP client's connections may be under way beside those that wait.
        limit = 32 + max(8.0, BEHIND_SECONDS * rate)
        processor, begin = process_time(), perf_counter()
        for each in due:
            pause = each - (perf_counter() - begin)
            if pause > 0:
                time.sleep(pause)
            if sent - len(sample.milliseconds) - sample.refused - done.qsize() > limit:
                sample.kept_up = False
                break
            self._send(next(requests), each, begin, done)
            sent += 1
        while len(sample.milliseconds) + sample.refused < sent:
            self._take(done, sample)
        return self._ended(sample, processor, begin)

    def _send(self, request: bytes, due: float, begin: float, done: queue.SimpleQueue[Any]) -> None:
        call = self._call.future(request, timeout=REQUEST_SECONDS)
        call.add_done_callback(lambda each: done.put((each, 1e3 * (perf_counter() - begin - due))))

    def _take(self, done: queue.SimpleQueue[Any], sample: Sample) -> None:
        call, milliseconds = done.get(timeout=2 * REQUEST_SECONDS)
        if call.exception() is None:
            sample.milliseconds.append(milliseconds)
        elif call.code() is grpc.StatusCode.UNAVAILABLE and REFUSED in call.details():
            sample.kept_up = False
            sample.refused += 1
        else:
            raise LoadError(f"gRPC: {call.exception()}")

    @staticmethod
    def _ended(sample: Sample, processor: float, begin: float) -> Sample:
        sample.seconds = perf_counter() - begin
        sample.client_seconds = process_time() - processor
        return sample
