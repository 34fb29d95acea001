"""Locust for real, against a real server: the report of a run, and what it says of each kind of failure."""

import csv
import importlib.util
import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from benchmarks.load import as_report
from benchmarks.load_run import Load, send
from endcap.cli import app
from endcap.reports import Report

ROOT = Path(__file__).resolve().parents[2]

# Looked for, not imported: locust patches the standard library for gevent, in a process that has threads.
pytestmark = pytest.mark.skipif(importlib.util.find_spec("locust") is None, reason="locust is not installed")


@pytest.fixture
def shop(tmp_path):
    """The files of a shop that traffic is read from."""
    directory = tmp_path / "shop"
    directory.mkdir()
    queries = ("red tent", "oak chair", "steel kettle", "blue boots")
    (directory / "queries.csv").write_text("query\n" + "".join(f"{query}\n" for query in queries))
    return directory


def test_a_load_run_says_what_failed_writes_its_report_and_fails(repository, shop, tmp_path):
    queries = shop / "queries.csv"
    # The first of a log is asked most often: of some thirty searches, one that asks the last may be lacking.
    queries.write_text(queries.read_text().replace("query\n", "query\n" + "x" * 1000 + "\n"))
    reports = tmp_path / "reports"
    command = ["bench", "load", "--repository", repository, "--traffic", shop, "--output", reports]
    command += ["--seconds", 3, "--warm-up", 0.5, "--rate", 25, "--users", 8]
    done = CliRunner().invoke(app, [*map(str, command)])
    assert done.exit_code == 1, done.output
    report = Report.read(reports / "load.json")
    figures = report.figures
    assert 0 < figures["errors_InvalidRequest"].value <= figures["errors"].value
    assert "InvalidRequest: query: got" in report.notes
    for protocol in ("grpc", "http"):
        percentiles = [figures[f"{protocol}_search_p{p}_ms"].value for p in (50, 95, 99)]
        assert percentiles == sorted(percentiles)
        assert percentiles[0] > 0
    assert figures["p99_ms"].low <= figures["p99_ms"].value <= figures["p99_ms"].high
    page = (reports / "load.html").read_text()
    assert page.count("<svg") >= 3
    assert "http://" not in page
    assert "<html" in (reports / "load-locust.html").read_text()
    with (reports / "load.csv").open() as stream:
        assert {row["phase"] for row in csv.DictReader(stream)} == {"warm-up", "steady"}


def test_requests_of_several_workers_come_together(server, shop, tmp_path):
    load = Load(rate=15, seconds=2, warm_up=0, users=8, workers=2, protocol="grpc")
    done = send(server, shop, load, tmp_path, tmp_path / "log")
    assert set(done.requests.protocol) == {"grpc"}
    # 30 are expected; half of them would be one worker's.
    assert len(done.requests) > 18
    # A busy machine may not get all of them sent.
    assert set(done.requests.errors) <= {"NotSent"}
    figures = as_report(done).figures
    assert figures["server_rerank_compute_ms"].value > 0
    assert 0 <= figures["server_cache_hit_share"].value <= 1


@pytest.fixture
def faults(server, tmp_path):
    """Name → address of servers that are wrong in different ways."""
    pytest.importorskip("trustme")
    sys.path.insert(0, str(ROOT / "tests" / "client"))
    from certificates import Certificates
    from stand_ins import GrpcStandIn

    certificates = Certificates(tmp_path)
    with (
        socket.socket() as bound,
        GrpcStandIn(certificates.grpc(expired=True)) as expired,
        GrpcStandIn() as slow,
        GrpcStandIn() as guarded,
        GrpcStandIn() as other,
    ):
        # Bound, and nobody listens.
        bound.bind(("127.0.0.1", 0))
        slow.delay = 30.0
        guarded.refuse = ("UNAVAILABLE", "This protocol is restricted, expecting header 'x-api-key'")
        other.refuse = ("NOT_FOUND", "Request for unknown model: 'search' is not found")
        yield {
            "unreachable": f"127.0.0.1:{bound.getsockname()[1]}",
            "wrong-port": server.http_url,
            "slow": slow.url,
            "expired": expired.url,
            "wrong-key": guarded.url,
            "other-version": other.url,
            "ca": str(certificates.ca),
        }


def test_each_failure_is_counted_by_its_class(server, faults, tmp_path):
    (tmp_path / "faults.json").write_text(json.dumps(faults))
    (tmp_path / "q.txt").write_text("red tent\n")
    locustfile = Path(__file__).with_name("faulty_locustfile.py")
    command = [sys.executable, "-m", "locust", "-f", str(locustfile), "--headless", "--only-summary"]
    command += ["--csv", str(tmp_path / "run"), "--stop-timeout", "6"]
    command += ["--faults", str(tmp_path / "faults.json"), "--traffic", str(tmp_path / "q.txt")]
    command += ["--grpc-url", server.grpc_url, "--rate", "20", "--seconds", "2", "--warm-up", "0"]
    command += ["--concurrency", "14"]
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, timeout=120, check=False)
    assert done.returncode == 1, done.stderr
    with (tmp_path / "run_failures.csv").open() as stream:
        said = {(row["Method"], row["Error"].partition("(")[0]) for row in csv.DictReader(stream)}
    assert {(who, error) for who, error in said if who != "none"} == {
        ("unreachable", "Unavailable"),
        ("wrong-port", "WrongProtocol"),
        ("slow", "Timeout"),
        ("expired", "CertificateError"),
        ("wrong-key", "AccessDenied"),
        ("other-version", "IncompatibleServer"),
        ("malformed", "InvalidRequest"),
    }
