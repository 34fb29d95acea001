import socket
import threading
import time
from concurrent import futures
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import endcap_client
import grpc
import pytest
from endcap_client import (
    AccessDenied,
    CertificateError,
    Client,
    ClientClosed,
    EndcapError,
    IncompatibleServer,
    InvalidRequest,
    Overloaded,
    ServerError,
    Timeout,
    Unavailable,
    WrongProtocol,
)
from endcap_client.failures import error_from


@pytest.mark.parametrize(
    ("message", "field"),
    [
        ("k: got 0; an integer from 1 to 200 is expected", "k"),
        ("in ensemble 'search', query: got ''; a query that is not blank is expected", "query"),
        (
            "options.filters.price_min: got -1; a number of at least 0 is expected",
            "options.filters.price_min",
        ),
        ("options.boost.a:b c: got 'x'; a number is expected", "options.boost.a:b c"),
        ("diversity (row 3): got nan; a number from 0 to 1 is expected", "diversity"),
        ("in ensemble 'search', query: got 'x: got y; z'; blank\nis refused", "query"),
        (
            "[request id: <id_unknown>] unexpected shape for input 'k' for model 'search'. Expected [-1,1]",
            "k",
        ),
        ("something else", None),
    ],
)
@pytest.mark.parametrize("status", ["StatusCode.INVALID_ARGUMENT", "400"])
def test_the_refused_field_is_named(status, message, field):
    error = error_from(status, message, url="h:1")
    assert isinstance(error, InvalidRequest)
    assert error.field == field


@pytest.mark.parametrize(
    ("status", "message", "kind"),
    [
        ("StatusCode.UNAVAILABLE", "failed to connect to all addresses", Unavailable),
        ("StatusCode.UNAVAILABLE", "Exceeds maximum queue size", Overloaded),
        ("503", "Exceeds maximum queue size", Overloaded),
        ("StatusCode.UNAVAILABLE", "This protocol is restricted, expecting header 'k'", AccessDenied),
        ("403", "This API is restricted", AccessDenied),
        ("StatusCode.UNAVAILABLE", "Request for unknown model: 'search' is not found", IncompatibleServer),
        ("404", "Request for unknown model: 'search' is not found", IncompatibleServer),
        ("StatusCode.DEADLINE_EXCEEDED", "Deadline Exceeded", Timeout),
        ("504", "", Timeout),
        ("StatusCode.INTERNAL", "rerank: KeyError, see the log", ServerError),
        ("500", "rerank: KeyError, see the log", ServerError),
        (None, None, ServerError),
        ("StatusCode.CANCELLED", "CANCELLED", Unavailable),
        ("StatusCode.UNAVAILABLE", "Request for unknown model: 'x' has no available versions", Unavailable),
        (
            "StatusCode.UNAVAILABLE",
            "failed to connect to all addresses; Ssl handshake failed: CERTIFICATE_VERIFY_FAILED: expired",
            CertificateError,
        ),
    ],
)
def test_each_failure_is_its_own_error(status, message, kind):
    assert type(error_from(status, message, url="h:1")) is kind


def test_every_error_is_of_the_one_tree_and_says_what_to_do():
    for name in endcap_client.__all__:
        member = getattr(endcap_client, name)
        if isinstance(member, type) and issubclass(member, Exception):
            assert issubclass(member, EndcapError)
            assert member.__doc__


def test_an_unreachable_server_is_unavailable(open_client, free_port):
    client = open_client(f"127.0.0.1:{free_port}", timeout=5.0)
    with pytest.raises(Unavailable, match=str(free_port)):
        client.search("drill")
    assert client.ready() is False


def test_a_server_that_does_not_answer_is_a_timeout(open_client, silent_port):
    client = open_client(f"127.0.0.1:{silent_port}", timeout=60.0)
    start = time.monotonic()
    with pytest.raises(Timeout):
        client.search("drill", timeout=0.05)
    assert time.monotonic() - start < 5.0  # not the client's 60 s
    assert client.ready(timeout=0.05) is False


class NotTriton(BaseHTTPRequestHandler):
    """An ordinary web server."""

    protocol_version = "HTTP/1.1"

    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        body = b"<html>hello</html>"
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        """Keep quiet."""


@pytest.fixture
def web_port():
    with ThreadingHTTPServer(("127.0.0.1", 0), NotTriton) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join()


@pytest.fixture
def other_grpc_port():
    """A gRPC server without Triton's service."""
    server = grpc.server(futures.ThreadPoolExecutor(2))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield port
    server.stop(None).wait()


def test_an_http_port_is_no_server_for_grpc_or_for_us(open_client, web_port):
    with pytest.raises(WrongProtocol, match=str(web_port)):
        open_client(f"127.0.0.1:{web_port}").search("drill", timeout=20.0)


def test_a_grpc_port_is_no_server_for_http_or_for_us(open_client, other_grpc_port, flavour):
    with pytest.raises(IncompatibleServer, match=str(other_grpc_port)) as caught:
        open_client(f"127.0.0.1:{other_grpc_port}").search("drill", timeout=20.0)
    assert isinstance(caught.value, WrongProtocol) != flavour.startswith("grpc")


def test_a_closed_client_says_so(open_client, free_port):
    client = open_client(f"127.0.0.1:{free_port}")
    client.close()
    client.close()
    with pytest.raises(ClientClosed):
        client.search("drill")


@pytest.mark.parametrize(
    ("keywords", "field"),
    [
        ({"url": "http://localhost:8000"}, "url"),
        ({"url": "localhost"}, "url"),
        ({"url": "localhost:99999"}, "url"),
        ({"protocol": "smtp"}, "protocol"),
        ({"timeout": 0.0}, "timeout"),
        ({"timeout": float("nan")}, "timeout"),
        ({"url": []}, "url"),
        ({"url": ["a:1", "a:1"]}, "url"),
        ({"retries": -1}, "retries"),
        ({"backoff": 0.0}, "backoff"),
        ({"hedge_after": 0.0}, "hedge_after"),
        ({"breaker_failures": 0}, "breaker_failures"),
        ({"breaker_pause": -1.0}, "breaker_pause"),
        ({"connect_timeout": 0.0}, "connect_timeout"),
        ({"keep_alive": -3.0}, "keep_alive"),
        ({"headers": {"x y": "1"}}, "headers"),
        ({"api_key": "schlüssel"}, "api_key"),
    ],
)
def test_a_client_that_cannot_work_is_refused_at_once(keywords, field):
    with pytest.raises(InvalidRequest) as caught:
        Client(**keywords)
    assert caught.value.field == field


def test_bad_deadlines_are_refused(open_client, free_port):
    client = open_client(f"127.0.0.1:{free_port}")
    with pytest.raises(InvalidRequest, match="timeout"):
        client.search("drill", timeout=-1.0)
    with pytest.raises(TypeError, match="timeout"):
        client.search("drill", timeout="5")


def test_a_misspelled_option_is_a_type_error(open_client, free_port):
    with pytest.raises(TypeError, match="divresity"):
        open_client(f"127.0.0.1:{free_port}").search("drill", divresity=0.3)


def test_a_connection_dropped_while_idle_is_opened_again():
    """A server may close a kept HTTP connection at any time; the next call must not notice."""
    answers = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"
    served = []

    def serve(listener):
        for _ in range(2):
            connection, _ = listener.accept()
            for _ in range(2):  # ready() asks twice
                connection.recv(65536)
                connection.sendall(answers)
            served.append(1)
            connection.close()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve, args=(listener,))
        thread.start()
        with Client(f"127.0.0.1:{listener.getsockname()[1]}", "http") as client:
            assert client.ready()
            time.sleep(0.05)
            assert client.ready()
        thread.join()
    assert len(served) == 2


def test_a_change_that_may_have_run_is_not_sent_again_over_http():
    """The server takes the second request over a kept connection and hangs up without a word."""
    answers = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"
    requests = []

    def serve(listener):
        listener.settimeout(20)
        connection, _ = listener.accept()
        with connection:
            for answer in (answers, answers, None):
                requests.append(connection.recv(65536))
                if answer:
                    connection.sendall(answer)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve, args=(listener,))
        thread.start()
        with Client(f"127.0.0.1:{listener.getsockname()[1]}", "http", timeout=20.0) as client:
            assert client.ready()
            with pytest.raises(Unavailable) as caught:
                client.delete("p1")
        thread.join()
    assert caught.value.may_have_run
    assert len(requests) == 3
