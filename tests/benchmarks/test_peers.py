"""What decides the peers' figures, without a peer: agreement, processor time, ratios, pins, the client."""

import http.server
import itertools
import socket
import sys
import threading
import time
from concurrent import futures
from pathlib import Path

import grpc
import numpy as np
import psutil
import pytest
import pyversity

from benchmarks.peers import agreement, environment, figures, running, turns
from benchmarks.peers.assets import nearest
from benchmarks.peers.grpc_load import GrpcLoad
from benchmarks.peers.http_load import HttpLoad, post
from benchmarks.peers.processes import ProcessTree
from benchmarks.peers.sample import LoadError, Sample, arrivals
from benchmarks.peers.systems import PEERS, TWO_PATHS, Peer, triton_search

WANTED = agreement.Expected(
    candidates=[[f"c{number}" for number in range(200)]] * 2, lists=[["a", "b", "c", "d"]] * 2
)


def asked(candidates, ids):
    return agreement.agreement(WANTED, ["one", "two"], lambda query: candidates, lambda query: ids)


def test_a_system_with_the_same_answers_is_timed():
    agreed = asked(WANTED.candidates[0], ["d", "c", "b", "a"])
    assert (agreed.candidates, agreed.lists, agreed.refusal) == (1.0, 1.0, "")


def test_a_system_that_misses_products_or_shows_others_is_refused():
    missing = asked(WANTED.candidates[0][:195], WANTED.lists[0])
    assert missing.candidates == 0.975
    assert "0.975 of the nearest" in missing.refusal
    assert "0.750" in asked(WANTED.candidates[0], ["a", "b", "c", "x"]).refusal


def test_the_nearest_are_exact_and_in_order():
    rng = np.random.default_rng(1)
    vectors, queries = rng.standard_normal((300, 8), np.float32), rng.standard_normal((3, 8), np.float32)
    assert (nearest(vectors, queries, 20) == (-(queries @ vectors.T)).argsort(axis=1)[:, :20]).all()


def test_endcaps_and_pyversitys_dpp_select_the_same_at_the_same_trade_off():
    rng = np.random.default_rng(3)
    vectors = rng.standard_normal((200, 32)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    scores = np.sort(rng.uniform(0.3, 0.8, 200).astype(np.float32))[::-1]
    theirs = pyversity.dpp(vectors, scores, agreement.K, agreement.DIVERSITY).indices
    assert agreement.select_alike(vectors, scores).tolist() == theirs.tolist()


def test_processor_time_counts_children_that_run_and_those_that_have_ended():
    burn = "import time\nwhile time.process_time() < 0.1: pass\n"
    program = (
        "import subprocess, sys, time\n"
        f"subprocess.run([sys.executable, '-c', {burn!r}])\n"
        f"subprocess.Popen([sys.executable, '-c', {burn + 'time.sleep(60)'!r}])\n"
        "time.sleep(60)\n"
    )
    process = psutil.Popen([sys.executable, "-c", program])
    try:
        tree = ProcessTree(process)
        deadline = time.monotonic() + 60
        spent = {}
        while min(spent.get("first", 0), spent.get("child", 0)) < 0.09 and time.monotonic() < deadline:
            time.sleep(0.02)
            spent = tree.seconds(lambda each: "first" if each.pid == process.pid else "child")
        assert min(spent["first"], spent["child"]) >= 0.09
        left = tree.refresh()
        assert len(left) == 2
    finally:
        ProcessTree(process).stop()
    assert not tree.runs
    assert not any(each.is_running() for each in left)


def sample(milliseconds, processor, seconds=1.0):
    return Sample(list(milliseconds), seconds, processor_seconds=processor)


def measured(processor_ms, p99, rates):
    """Two rounds, of 100 answers each."""
    found = figures.Measured()
    for cpu, rate in zip(processor_ms, rates, strict=True):
        each = sample([p99] * 100, cpu / 10)
        found.turns.append(turns.Turn(each, each, each))
        found.zipf.append(turns.ZipfTurn(rate, rate))
    return found


def test_ratios_are_of_the_medians_against_the_peer_that_is_best_at_the_figure():
    found = figures.figures(
        {
            "endcap": measured([4, 6], 10, [300, 300]),
            "endcap_grpc": measured([2, 2], 5, [400, 400]),
            "fastapi_torch": measured([20, 20], 8, [50, 50]),
            "fastapi_onnx": measured([10, 10], 20, [100, 150]),
            "litserve": measured([8, 12.5], 30, [60, 60]),
            "stopped": figures.Measured(),
        }
    )
    value = {name: figure.value for name, figure in found.items()}
    assert value["cpu_ratio_fastapi_torch"] == pytest.approx(5 / 20)
    assert value["cpu_ratio_best_peer"] == pytest.approx(5 / 10)
    assert found["cpu_ratio_best_peer"].low == pytest.approx(0.4)
    assert found["cpu_ratio_best_peer"].high == pytest.approx(0.6)
    assert value["p99_ratio_best_peer"] == pytest.approx(10 / 8)
    assert value["rate_ratio_fastapi_torch"] == pytest.approx(6)
    assert value["rate_ratio_best_peer"] == pytest.approx(300 / 125)
    assert found["rate_ratio_best_peer"].baselines["ratio_grpc"] == pytest.approx(400 / 125)
    assert found["cpu_ratio_fastapi_torch"].met
    assert found["p99_ratio_best_peer"].met is False
    assert "stopped" not in found["cpu_steady_ms"].baselines


def test_no_ratio_is_made_up_where_a_peer_is_missing_or_held_no_rate():
    found = figures.figures({"endcap": measured([4, 4], 10, [300, 300])})
    assert not [name for name in found if "_ratio_" in name]
    torch = measured([20, 20], 8, [0, 0])
    found = figures.figures({"endcap": measured([4, 4], 10, [300, 300]), "fastapi_torch": torch})
    assert [name for name in found if "_ratio_" in name] == ["cpu_ratio_fastapi_torch", "p99_ratio_best_peer"]


def test_the_search_for_the_highest_rate_ends_at_the_highest_that_held():
    tried = []

    def holds(rate):
        tried.append(rate)
        return rate <= 100

    assert turns.highest(holds, 20, 300, 8) == max(rate for rate in tried if rate <= 100) > 95
    assert turns.highest(lambda rate: False, 20, 300, 4) == 0.0


def test_arrivals_are_the_same_for_every_server():
    assert list(arrivals(50, 2)) == list(arrivals(50, 2))
    assert len(list(arrivals(50, 20))) == pytest.approx(1000, rel=0.1)


def test_every_requirement_of_the_peers_has_one_version(tmp_path):
    pins = environment.pins()
    assert pins["numpy"].startswith("1.")  # PyTriton's and Triton's stub crash on numpy 2
    assert {"torch", "faiss-cpu", "litserve", "bentoml", "ray", "nvidia-pytriton", "pyversity"} <= set(pins)
    loose = tmp_path / "requirements.txt"
    for line in ("numpy>=1.26", "numpy", "numpy==1.*"):
        loose.write_text(line, "utf-8")
        with pytest.raises(ValueError, match=r"NAME==VERSION"):
            environment.pins(loose)


def test_a_package_that_is_not_in_the_environment_is_named():
    found = environment.missing(Path(sys.executable).parent, ["json", "no_such_peer"])
    assert found == ["no_such_peer"]


class Echo(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(500 if b"fail" in body else 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments):
        pass


@pytest.fixture
def echo():
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Echo) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        load = HttpLoad(server.server_port, connections=4)
        yield load
        load.close()
        server.shutdown()
        thread.join()


def test_the_client_counts_every_answer_and_refuses_an_error(echo):
    assert echo.ask(post("/", {"query": "红色"})) == '{"query":"红色"}'.encode()
    request = itertools.repeat(post("/", {"query": "lamp"}))
    due = [0.01 * number for number in range(20)]
    sample = echo.open_loop(request, due, 100)
    assert len(sample.milliseconds) == 20
    assert sample.kept_up
    assert sample.seconds >= due[-1]
    assert echo.closed_loop(request, 2, 0.1).rate > 0
    with pytest.raises(LoadError, match="500"):
        echo.ask(post("/", {"query": "fail"}))


LATE = """
import http.server, sys, time
began = time.monotonic()
class Late(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        there = self.path == "/search" or time.monotonic() - began > 1.0
        self.send_response(200 if there else 400)
        self.send_header("Content-Length", "0")
        self.end_headers()
http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Late).serve_forever()
"""


def test_a_peer_that_loads_its_candidates_later_is_waited_for(tmp_path):
    script = tmp_path / "late.py"
    script.write_text(LATE, "utf-8")
    late = Peer("late", "Late", "json", "onnx", ("python", str(script), "{port}"), TWO_PATHS, "")
    with running.running(late, Path(sys.executable).parent, tmp_path, tmp_path) as (client, _):
        assert client.ask(TWO_PATHS.candidates("lamp")) == b""


def test_what_a_full_server_refuses_is_a_rate_that_it_does_not_keep():
    numbers = itertools.count()

    def refuse_every_third(request, context):
        if next(numbers) % 3 == 2:
            context.abort(grpc.StatusCode.UNAVAILABLE, "in ensemble 'search', Exceeds maximum queue size")
        if request == b"fail":
            context.abort(grpc.StatusCode.UNAVAILABLE, "is not ready")
        return request

    method = grpc.unary_unary_rpc_method_handler(refuse_every_third)
    service = grpc.method_handlers_generic_handler("inference.GRPCInferenceService", {"ModelInfer": method})
    with futures.ThreadPoolExecutor(1) as pool:
        server = grpc.server(pool, handlers=[service])
        port = server.add_insecure_port("127.0.0.1:0")
        server.start()
        load = GrpcLoad(f"127.0.0.1:{port}")
        sample = load.open_loop(itertools.repeat(b"lamp"), [0.0] * 9, 100)
        assert (len(sample.milliseconds), sample.refused, sample.kept_up) == (6, 3, False)
        with pytest.raises(LoadError, match="not ready"):
            load.open_loop(itertools.repeat(b"fail"), [0.0], 100)
        load.close()
        server.stop(None)


def test_each_peer_is_asked_for_the_same():
    for peer in PEERS:
        request = peer.dialect.search("led lamp")
        assert b"led lamp" in request
        assert b"20" in request
        assert b"0.3" in request
    assert b'"item_id"' in triton_search("led lamp")


@pytest.mark.parametrize("chunked", [False, True])
def test_an_answer_is_read_whole_in_one_piece_or_in_chunks(chunked):
    body = b'{"ids":["a","b"]}'
    head = b"HTTP/1.1 200 OK\r\n"
    if chunked:
        answer = head + b"Transfer-Encoding: chunked\r\n\r\n7\r\n" + body[:7] + b"\r\na;x=1\r\n" + body[7:]
        answer += b"\r\n0\r\n\r\n"
    else:
        answer = head + b"Content-Length: %d\r\n\r\n" % len(body) + body
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve():
            peer, _ = listening.accept()
            with peer:
                for _ in range(2):
                    peer.recv(65_536)
                    for part in (answer[:40], answer[40:70], answer[70:]):
                        peer.sendall(part)
                        time.sleep(0.02)

        thread = threading.Thread(target=serve)
        thread.start()
        load = HttpLoad(listening.getsockname()[1], 1)
        try:
            assert [load.ask(post("/", {})) for _ in range(2)] == [body, body]
        finally:
            load.close()
            thread.join()
