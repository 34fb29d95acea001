"""What the SDK costs and what it holds: overhead over tritonclient, growth, deadlines, a killed server."""

from __future__ import annotations

import gc
import os
import signal
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import tritonclient.grpc
import tritonclient.http
from endcap_client import Client, EndcapError, Overloaded, Timeout

from benchmarks.traffic import Traffic
from endcap.launcher import Server
from endcap.reports import Figure, Report

K = 10
QUERIES = 50
OUTPUTS = ("item_id", "score", "query_info")
DEADLINE = 0.005
Progress = Callable[[str], None]


def measure(
    repository: Path,
    traffic: Path,
    *,
    pairs: int = 1500,
    calls: int = 10_000,
    seconds: float = 8.0,
    progress: Progress = lambda stage: None,
) -> Report:
    """Every figure of ``sdk.json``, on two servers of the repository that are started for it.

    Args:
        repository: what ``endcap register`` wrote.
        traffic: folder of a shop, or a file of queries.
        pairs: calls of SDK and tritonclient each, in turn.
        calls: calls of each protocol over which files, threads and memory shall stay as they are.
        seconds: how long two servers are under load, one of them killed in the middle.
        progress: told of each part.
    """
    queries = list(Traffic.of_path(traffic).queries[:QUERIES])
    figures: dict[str, Figure] = {}
    with tempfile.TemporaryDirectory(prefix="endcap-sdk-") as scratch:
        first = Server.start(repository, state=Path(scratch) / "first")
        second = None
        try:
            for name, bare in (("", _bare_grpc), ("_http", _bare_http)):
                progress(f"overhead{name}")
                figures |= _overhead(first, queries, pairs, bare, name)
            for protocol in ("grpc", "http"):
                progress(f"{calls} calls over {protocol}")
                figures |= _growth(first, protocol, queries, calls)
            progress("deadlines")
            figures |= _deadlines(first, queries)
            second = Server.start(repository, state=Path(scratch) / "second")
            progress("hedging")
            figures["hedged_p99_ms"] = _hedged(first, second, queries, max(50, pairs // 3))
            progress("one of two servers is killed")
            figures |= _killed(first, second, queries, seconds)
        finally:
            for server in (first, second):
                if server is not None:
                    server.stop()
    notes = (
        f"k={K}, {len(queries)} queries of the shop in turn, their encodings cached; client and servers "
        "share the machine. Overhead: medians of calls in turn, tritonclient building the same request and "
        "reading the same outputs; interval by bootstrap; beside it the processor time of the caller. "
        "Growth: after 500 calls of warm-up. Deadline: 5 ms against a server that is stopped (SIGSTOP), "
        "the longest of 200 calls. Hedging: one of two servers is stopped for 60 ms four times a second. "
        "Killed: SIGKILL to one of two servers under 8 threads."
    )
    return Report("sdk", figures, notes)


def _bare_grpc(server: Server) -> tuple[Callable[[str], Any], Callable[[], None]]:
    client = tritonclient.grpc.InferenceServerClient(server.grpc_url)
    return _bare(tritonclient.grpc, client), client.close


def _bare_http(server: Server) -> tuple[Callable[[str], Any], Callable[[], None]]:
    client = tritonclient.http.InferenceServerClient(server.http_url)
    return _bare(tritonclient.http, client), client.close


def _bare(module: Any, client: Any) -> Callable[[str], Any]:
    def call(query: str) -> Any:
        text = module.InferInput("query", [1, 1], "BYTES")
        text.set_data_from_numpy(np.array([[query.encode()]], np.object_))
        count = module.InferInput("k", [1, 1], "INT32")
        count.set_data_from_numpy(np.array([[K]], np.int32))
        outputs = [module.InferRequestedOutput(name) for name in OUTPUTS]
        answer = client.infer("search", [text, count], outputs=outputs)
        return [answer.as_numpy(name) for name in OUTPUTS]

    return call


def _overhead(server: Server, queries: Sequence[str], pairs: int, bare: Any, name: str) -> dict[str, Figure]:
    """Medians of the SDK's calls less those of tritonclient's, in turn on the same server.

    Elapsed time, and processor time of the calling thread: a busy machine lengthens the first only.
    """
    call, close = bare(server)
    url, protocol = (server.http_url, "http") if name else (server.grpc_url, "grpc")
    with Client(url, protocol, timeout=30.0) as shop:
        both: tuple[Callable[[str], Any], ...] = (call, lambda query: shop.search(query, k=K))
        times, processor = np.zeros((pairs, 2)), np.zeros((pairs, 2))
        for number in range(-100, pairs):
            query = queries[number % len(queries)]
            # The second of a pair finds warmer caches: each is first in turn.
            for which in (0, 1) if number % 2 else (1, 0):
                start, worked = time.perf_counter(), time.thread_time()
                both[which](query)
                if number >= 0:
                    times[number, which] = (time.perf_counter() - start) * 1000
                    processor[number, which] = (time.thread_time() - worked) * 1000
    close()
    return {
        f"sdk{name}_overhead_ms": _difference(times, "" if name else "<= 0.15"),
        f"sdk{name}_processor_overhead_ms": _difference(processor, ""),
    }


def _difference(times: npt.NDArray[np.float64], goal: str) -> Figure:
    """Median of the second column less that of the first."""
    bare_ms, sdk_ms = np.median(times, axis=0)
    rng = np.random.default_rng(1)
    rows = len(times)
    samples = [
        np.subtract(*np.median(times[rng.integers(rows, size=rows)], axis=0)[::-1]) for _ in range(400)
    ]
    low, high = np.percentile(samples, [2.5, 97.5])
    return Figure(
        float(sdk_ms - bare_ms),
        "ms",
        low=float(low),
        high=float(high),
        goal=goal,
        baselines={"tritonclient": float(bare_ms), "sdk": float(sdk_ms)},
    )


def _growth(server: Server, protocol: str, queries: Sequence[str], calls: int) -> dict[str, Figure]:
    url = server.grpc_url if protocol == "grpc" else server.http_url
    with Client(url, protocol, timeout=30.0) as shop:
        for number in range(min(500, calls)):
            shop.search(queries[number % len(queries)], k=K)
        before = _held()
        for number in range(calls):
            shop.search(queries[number % len(queries)], k=K)
        after = _held()
    goals = {"files": "<= 0", "threads": "<= 0", "memory": "<= 2"}
    return {
        f"{protocol}_{what}_growth": Figure(
            after[what] - before[what],
            "MiB" if what == "memory" else "",
            goal=goal,
            baselines={"before": before[what]},
        )
        for what, goal in goals.items()
    }


def _held() -> dict[str, float]:
    """Open files, threads of the system and resident memory (MiB) of this process."""
    gc.collect()
    resident = int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    return {
        "files": float(len(os.listdir("/proc/self/fd"))),
        "threads": float(len(os.listdir("/proc/self/task"))),
        "memory": resident / 2**20,
    }


def _deadlines(server: Server, queries: Sequence[str], count: int = 200) -> dict[str, Figure]:
    """How long calls with a deadline of 5 ms take while the server does not answer."""
    figures = {}
    for protocol, url in (("grpc", server.grpc_url), ("http", server.http_url)):
        with Client(url, protocol, timeout=30.0) as shop:
            shop.search(queries[0], k=K)
            taken, others = [], 0
            server.send_signal(signal.SIGSTOP)
            try:
                for number in range(count):
                    start = time.perf_counter()
                    try:
                        shop.search(queries[number % len(queries)], k=K, timeout=DEADLINE)
                        others += 1
                    except Timeout:
                        taken.append((time.perf_counter() - start) * 1000)
                    except EndcapError:
                        others += 1
            finally:
                server.send_signal(signal.SIGCONT)
            figures[f"{protocol}_deadline_5ms_ms"] = Figure(
                max(taken, default=0.0),
                "ms",
                goal="<= 10",
                baselines={"median": float(np.median(taken)) if taken else 0.0},
            )
            figures[f"{protocol}_deadline_not_timeout"] = Figure(float(others), goal="= 0")
            _until_served(shop, queries[0])
    return figures


def _until_served(shop: Client, query: str, seconds: float = 30.0) -> None:
    """Waits while a woken server works through the calls given up meanwhile, which fill its queue.

    Raises:
        Overloaded: its queue is still full after ``seconds``.
    """
    ends = time.monotonic() + seconds
    while True:
        try:
            shop.search(query, k=K)
            return
        except Overloaded:
            if time.monotonic() > ends:
                raise
            time.sleep(0.05)


def _hedged(first: Server, second: Server, queries: Sequence[str], count: int) -> Figure:
    """p99 of searches on two servers, one of which stops for 60 ms now and then, with a hedge and without."""
    done = threading.Event()

    def hiccups() -> None:
        while not done.wait(0.19):
            first.send_signal(signal.SIGSTOP)
            time.sleep(0.06)
            first.send_signal(signal.SIGCONT)

    thread = threading.Thread(target=hiccups)
    urls = [first.grpc_url, second.grpc_url]
    with (
        Client(urls, timeout=30.0) as plain,
        Client(urls, timeout=30.0, hedge_after=0.02) as hedged,
    ):
        times: dict[Client, list[float]] = {plain: [], hedged: []}
        for query in queries:
            plain.search(query, k=K), plain.search(query, k=K), hedged.search(query, k=K)
        thread.start()
        try:
            for number in range(count):
                for shop in (plain, hedged):
                    start = time.perf_counter()
                    shop.search(queries[number % len(queries)], k=K)
                    times[shop].append((time.perf_counter() - start) * 1000)
        finally:
            done.set()
            thread.join()
        p99 = {shop: float(np.percentile(values, 99)) for shop, values in times.items()}
    return Figure(p99[hedged], "ms", baselines={"not hedged": p99[plain]})


def _killed(first: Server, second: Server, queries: Sequence[str], seconds: float) -> dict[str, Figure]:
    """Calls that fail when one of two servers is killed under load, over both protocols."""
    outcomes: Counter[str] = Counter()
    lock = threading.Lock()
    ends = time.monotonic() + seconds

    def ask(shop: Client, number: int) -> None:
        while time.monotonic() < ends:
            number += 1
            try:
                found = shop.search(queries[number % len(queries)], k=K)
                outcome = "served" if len(found) else "empty"
            except EndcapError as error:
                outcome = f"{type(error).__name__}: {error}"
            with lock:
                outcomes[outcome] += 1
            time.sleep(0.01)

    with (
        Client([first.grpc_url, second.grpc_url], timeout=10.0) as over_grpc,
        Client([first.http_url, second.http_url], "http", timeout=10.0) as over_http,
    ):
        threads = [
            threading.Thread(target=ask, args=(over_grpc if number % 2 else over_http, number * 7))
            for number in range(8)
        ]
        for thread in threads:
            thread.start()
        time.sleep(seconds / 2)
        second.send_signal(signal.SIGKILL)
        before = outcomes.total()
        for thread in threads:
            thread.join()
    lost = outcomes.total() - outcomes["served"]
    return {
        "killed_lost_calls": Figure(float(lost), goal="= 0"),
        "killed_calls": Figure(float(outcomes.total()), baselines={"before the kill": float(before)}),
    }
