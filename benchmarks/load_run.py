"""One headless Locust run against a server: what to send, and every request that came of it."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from endcap_rerank.errors import EndcapError, InvalidInputError

from benchmarks.arrivals import WARM_UP, Plan
from benchmarks.session import Mix
from benchmarks.triton_metrics import Reading, between
from endcap.launcher import Server

LOCUSTFILE = Path(__file__).with_name("locustfile.py")
USERS = {"both": (), "grpc": ("GrpcShopper",), "http": ("HttpShopper",)}
START = 60.0
"""Seconds that Locust may need to start and to end; a busy machine takes its time."""


class LoadError(EndcapError):
    """The load generator itself did not work; the message says where its log is."""


@dataclass(frozen=True)
class Load:
    """What to send.

    Attributes:
        shape: how the rate changes, see ``arrivals.Plan.of_shape``.
        rate: requests a second, all processes together; the highest but for a spike.
        seconds: how long, without the warm-up.
        warm_up: seconds before that.
        users: requests in flight at most.
        protocol: ``grpc``, ``http``, or ``both`` in turns.
        workers: processes that generate load; 1 is Locust alone, without a master.
        deadline: seconds until a call counts as failed.
        mix: shares of the traffic.
    """

    shape: str = "steady"
    rate: float = 40.0
    seconds: float = 30.0
    warm_up: float = 3.0
    users: int = 64
    protocol: str = "both"
    workers: int = 1
    deadline: float = 5.0
    mix: Mix = field(default_factory=Mix)

    def __post_init__(self) -> None:
        if self.protocol not in USERS:
            raise InvalidInputError("protocol", self.protocol, f"one of {', '.join(USERS)} is expected")

    @property
    def plan(self) -> Plan:
        """The phases of the run."""
        return Plan.of_shape(self.shape, self.rate, self.seconds, self.warm_up)

    def arguments(self) -> list[str]:
        """As ``benchmarks/locustfile.py`` takes them."""
        said = {
            "shape": self.shape,
            "rate": self.rate,
            "seconds": self.seconds,
            "warm-up": self.warm_up,
            "concurrency": self.users,
            "deadline": self.deadline,
            "fresh": self.mix.fresh,
            "clicks": self.mix.clicks,
            "updates": self.mix.updates,
        }
        arguments = [part for name, value in said.items() for part in (f"--{name}", str(value))]
        if self.workers > 1:
            arguments += ["--processes", str(self.workers)]
        return arguments


@dataclass(frozen=True)
class Requests:
    """Columns of equal length, a row for each request, by when it was due.

    Attributes:
        due: seconds from the start of the run.
        latency: milliseconds from then to the answer or the failure.
        lag: milliseconds from then to the sending.
        protocol, call: texts.
        error: class of the error; empty for an answer.
    """

    due: npt.NDArray[np.float64]
    latency: npt.NDArray[np.float64]
    lag: npt.NDArray[np.float64]
    protocol: npt.NDArray[np.str_]
    call: npt.NDArray[np.str_]
    error: npt.NDArray[np.str_]

    @classmethod
    def of_rows(cls, rows: list[list[Any]]) -> Requests:
        """From the rows of a recording."""
        protocol, call, due, latency, lag, error = zip(*sorted(rows, key=lambda row: row[2]), strict=True)
        return cls(
            np.array(due, float),
            np.array(latency, float),
            np.array(lag, float),
            np.array(protocol, np.str_),
            np.array(call, np.str_),
            np.array(error, np.str_),
        )

    def __len__(self) -> int:
        return len(self.due)

    def where(self, chosen: npt.NDArray[np.bool_]) -> Requests:
        """The rows that are chosen."""
        return Requests(
            self.due[chosen],
            self.latency[chosen],
            self.lag[chosen],
            self.protocol[chosen],
            self.call[chosen],
            self.error[chosen],
        )

    def during(self, begin: float, end: float) -> Requests:
        """What was due from ``begin`` to before ``end``."""
        return self.where((self.due >= begin) & (self.due < end))

    @property
    def shoppers(self) -> Requests:
        """Without changes of the catalogue: nobody waits for those in front of a page."""
        return self.where(self.call != "upsert")

    @property
    def answered(self) -> Requests:
        """Without what failed."""
        return self.where(self.error == "")

    @property
    def errors(self) -> Counter[str]:
        """How often each class of error came."""
        return Counter(str(error) for error in self.error if error)


@dataclass(frozen=True)
class Run:
    """What a load came to.

    Attributes:
        load: what was sent.
        requests: every request, those of the warm-up too.
        messages: "protocol call class: message" → how often.
        server: readings of Triton's metrics by seconds from the start.
        began: when it started, seconds since 1970.
    """

    load: Load
    requests: Requests
    messages: Mapping[str, int]
    server: tuple[tuple[float, Reading], ...] = ()
    began: float = 0.0

    @classmethod
    def of_document(cls, load: Load, document: Mapping[str, Any]) -> Run:
        """From what the Locust file recorded.

        Raises:
            LoadError: nothing was due after the warm-up; a run without a request has not passed.
        """
        readings = tuple((float(at), reading) for at, reading in document["server"])
        if document["rows"]:
            requests = Requests.of_rows(document["rows"])
            run = cls(load, requests, document["messages"], readings, document["began"])
            if len(run.measured):
                return run
        raise LoadError("no request was made: the run was too short, or this machine too busy to start it")

    @property
    def begin(self) -> float:
        """Seconds from the start to the end of the warm-up."""
        phases = self.load.plan.phases
        return phases[0].seconds if phases[0].name == WARM_UP else 0.0

    @property
    def measured(self) -> Requests:
        """What was due after the warm-up."""
        return self.requests.where(self.requests.due >= self.begin)

    @property
    def counted(self) -> Reading:
        """What the server counted after the warm-up; empty where its metrics were read less than twice."""
        readings = [reading for at, reading in self.server if at >= self.begin - 1.0]
        return between(readings[0], readings[-1]) if len(readings) > 1 else {}

    @property
    def answer_rate(self) -> float:
        """Answers a second: of the requests due after the warm-up, those answered before the run's end."""
        done = self.measured.answered
        inside = np.count_nonzero(done.due + done.latency / 1000 <= self.load.plan.seconds)
        return float(inside) / self.load.seconds

    @property
    def kept_up(self) -> float:
        """Share of the requests due after the warm-up that were answered before the run's end."""
        return self.answer_rate * self.load.seconds / max(len(self.measured), 1)


def new_log(file: Path) -> Path:
    """A log that does not exist yet, in a folder that does."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.unlink(missing_ok=True)
    return file


def send(
    server: Server,
    traffic: Path,
    load: Load,
    scratch: Path,
    log: Path,
    *,
    waiting: Callable[[], None] = lambda: None,
    page: Path | None = None,
) -> Run:
    """Run Locust against ``server``.

    Args:
        traffic: folder of a shop, or a file of queries.
        scratch: folder for the recording.
        log: file of Locust's output; appended to.
        waiting: called four times a second during the run.
        page: where Locust's own HTML report goes.

    Raises:
        LoadError: Locust did not run. Failed requests are part of the answer, no error.
    """
    recording = scratch / "recording.json"
    recording.unlink(missing_ok=True)
    command = [sys.executable, "-m", "locust", "-f", str(LOCUSTFILE), "--headless", "--only-summary"]
    # What is in flight at the end may end; without it Locust cuts it off.
    command += ["--stop-timeout", f"{load.deadline + 1:g}", "--exit-code-on-error", "0"]
    command += [
        "--grpc-url",
        server.grpc_url,
        "--http-url",
        server.http_url,
        "--metrics-url",
        server.metrics_url,
    ]
    command += ["--traffic", str(traffic.resolve()), "--recording", str(recording), *load.arguments()]
    if page is not None:
        command += ["--html", str(page)]
    status = _run([*command, *USERS[load.protocol]], log, load.plan.seconds + load.deadline + START, waiting)
    if status or not recording.is_file():
        raise LoadError(f"locust ended with status {status}; see {log}")
    return Run.of_document(load, json.loads(recording.read_text("utf-8")))


def _run(command: list[str], log: Path, timeout: float, waiting: Callable[[], None]) -> int:
    with log.open("ab") as stream:
        root = LOCUSTFILE.parents[1]
        process = subprocess.Popen(command, stdout=stream, stderr=subprocess.STDOUT, cwd=root)
        try:
            waited = 0.0
            while waited < timeout:
                try:
                    return process.wait(0.25)
                except subprocess.TimeoutExpired:
                    waited += 0.25
                    waiting()
            raise LoadError(f"locust did not end within {timeout:g} s; its log is {log}")
        finally:
            if process.poll() is None:
                process.terminate()
                process.wait(10)
