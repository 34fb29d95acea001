"""Locust, headless, against a server of its own; the run as a report."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from endcap_rerank.errors import EndcapError

from endcap.launcher import Server
from endcap.reports import Figure, Report

LOCUSTFILE = Path(__file__).with_name("locustfile.py")


class LoadError(EndcapError):
    """The load generator itself did not work; the message says where its log is."""


def run_load(
    repository: Path,
    traffic: Path,
    directory: Path,
    *,
    seconds: float = 30.0,
    rate: float = 40.0,
    users: int = 16,
    waiting: Callable[[], None] = lambda: None,
) -> Report:
    """Start a server on ``repository``, send ``rate`` requests a second for ``seconds``, write ``load.*``.

    Half of the users speak gRPC and half HTTP. The server's stores are fresh and thrown away, so a run
    leaves nothing behind. Written to ``directory``: ``load.json``, Locust's page ``load.html`` and its log.

    Args:
        repository: what ``endcap register`` wrote.
        traffic: folder of a shop, or a file of queries.
        waiting: called a few times a second during the run.

    Raises:
        EndcapError: no server, or Locust did not run. Failed requests are figures, not an error.
    """
    directory.mkdir(parents=True, exist_ok=True)
    log = directory / "load.log"
    with tempfile.TemporaryDirectory(prefix="endcap-load-") as scratch:
        recording = Path(scratch) / "recording.json"
        page = Path(scratch) / "load.html"
        with Server.start(repository, state=Path(scratch) / "state") as server:
            command = [sys.executable, "-m", "locust", "-f", str(LOCUSTFILE), "--headless", "--only-summary"]
            command += ["-u", str(users), "-r", str(users), "-t", f"{seconds:g}s", "--rate", f"{rate:g}"]
            command += ["--grpc-url", server.grpc_url, "--http-url", server.http_url]
            command += [
                "--traffic",
                str(traffic.resolve()),
                "--recording",
                str(recording),
                "--html",
                str(page),
            ]
            status = _run(command, log, seconds + 60.0, waiting)
        if not recording.is_file():
            raise LoadError(f"locust ended with status {status} before it sent anything; see {log}")
        report = as_report(json.loads(recording.read_text("utf-8")), rate=rate, users=users)
        # Failed requests make the status 1 too; without them it is a defect of the load generator.
        if status and not report.figures["errors"].value:
            raise LoadError(f"locust ended with status {status} although no request failed; see {log}")
        report.write(directory)
        if page.is_file():
            shutil.copyfile(page, directory / "load.html")
    return report


def as_report(recorded: Mapping[str, Any], *, rate: float, users: int) -> Report:
    """The figures of a recording: latency of each protocol's searches and of all its calls, rate, errors.

    Raises:
        LoadError: nothing was recorded; a run without a request has not passed.
    """
    if not recorded:
        raise LoadError("no request was made: the run was too short, or this machine too busy to start it")
    figures: dict[str, Figure] = {"errors": Figure(_errors(recorded.values()), goal="= 0")}
    for protocol in ("grpc", "http"):
        run = recorded.get(protocol)
        if run is None:
            continue
        calls = run["calls"]
        every = [value for values in calls.values() for value in values]
        figures[f"{protocol}_errors"] = Figure(_errors([run]), goal="= 0")
        figures[f"{protocol}_rps"] = Figure(len(every) / max(run["seconds"], 1e-9), "1/s")
        for name, values in [("", every), *sorted(calls.items())]:
            stem = f"{protocol}_{name}" if name else protocol
            for percentile in (50, 95, 99) if values else ():
                value = float(np.percentile(values, percentile))
                figures[f"{stem}_p{percentile}_ms"] = Figure(value, "ms")
    messages = sorted({text for run in recorded.values() for text in run["errors"]})
    notes = (
        f"Locust, {users} users (half gRPC, half HTTP) through the SDK, {rate:g} requests a second offered: "
        "8 searches (Zipf over the shop's queries, one in ten never asked before) to 1 recommendation and "
        "1 event; k=20, the server's default diversity, response cache on; load generator and server "
        "share the machine. Latencies are of successful calls, seen from the client."
    )
    return Report("load", figures, " ".join([notes, *(f"Error: {text}." for text in messages[:5])]))


def _run(command: list[str], log: Path, timeout: float, waiting: Callable[[], None]) -> int:
    with log.open("wb") as stream:
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


def _errors(runs: Any) -> float:
    return float(sum(count for run in runs for count in run["errors"].values()))
