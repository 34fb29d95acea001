"""Who may do what: administration needs a key, TLS keeps others out, traces tell nothing of a shopper."""

import http.server
import os
import shutil
import stat
import subprocess
import threading
from pathlib import Path
from typing import ClassVar

import grpc as grpcio
import pytest
import tritonclient.grpc
import tritonclient.http
from asking import Raw
from endcap_export.registry import register
from endcap_export.triton import load_models
from endcap_rerank.admin_key import GRPC_HEADER, HEADER, admin_key
from endcap_rerank.errors import InvalidInputError, ReleaseError
from processes import children_of, wait_until
from tritonclient.utils import InferenceServerException

from endcap.launcher import Launch, Server
from endcap.triton.protection import RESTRICTED, Tls
from endcap.triton.traces import Traces

ADMIN = {
    "model-repository": lambda client, **key: client.get_model_repository_index(**key),
    "model-repository load": lambda client, **key: client.load_model("tokenize", **key),
    "shared-memory": lambda client, **key: client.get_system_shared_memory_status(**key),
    "shared-memory registration": lambda client, **key: client.unregister_system_shared_memory(**key),
    "logging": lambda client, **key: client.get_log_settings(**key),
    "logging change": lambda client, **key: client.update_log_settings({"log_verbose_level": 0}, **key),
    "trace": lambda client, **key: client.get_trace_settings(**key),
    "statistics": lambda client, **key: client.get_inference_statistics("tokenize", **key),
}
"""A call of every restricted API."""


def test_every_restricted_api_is_called_here():
    assert {name.split()[0] for name in ADMIN} == set(RESTRICTED)


@pytest.fixture(params=["grpc", "http"])
def administrator(request, server, repository):
    """A client and the header that holds the key, over both protocols."""
    key = admin_key(repository)
    if request.param == "grpc":
        with tritonclient.grpc.InferenceServerClient(server.grpc_url) as client:
            yield client, {GRPC_HEADER: key}
    else:
        with tritonclient.http.InferenceServerClient(server.http_url) as client:
            yield client, {HEADER: key}


@pytest.mark.parametrize("call", ADMIN.values(), ids=ADMIN)
def test_administration_is_refused_without_the_key(administrator, call):
    client, headers = administrator
    wrong = dict.fromkeys(headers, "wrong-" + "x" * 40)
    for refused in ({}, wrong):
        with pytest.raises(InferenceServerException, match="restricted"):
            call(client, headers=refused)


@pytest.mark.parametrize("call", ADMIN.values(), ids=ADMIN)
def test_administration_is_open_with_the_key(administrator, call):
    client, headers = administrator
    call(client, headers=headers)


def test_what_shops_call_needs_no_key(raw):
    assert raw.client.is_server_ready()
    assert raw.client.get_model_metadata("search")
    assert raw.search("red dress", k=3)[0]


def test_key_is_its_owners_alone_and_on_no_command_line(server, repository):
    file = repository / "state" / "admin.key"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    key = admin_key(repository)
    assert len(key) >= 32
    for pid in [server.pid, *children_of(os.getpid())]:
        command = Path(f"/proc/{pid}/cmdline")
        if command.exists():
            assert key not in command.read_text("utf-8", "replace")
    assert "restricted" not in Path(f"/proc/{server.pid}/cmdline").read_text()
    assert stat.S_IMODE(os.stat(f"/proc/{server.pid}/environ").st_mode) == 0o400


def test_no_key_in_the_log(server, repository):
    assert admin_key(repository) not in server.log.read_text("utf-8", "replace")


def test_register_sends_the_key_and_needs_it(tmp_path, shop_release, monkeypatch):
    """The way of `register --server`, for one model; all of them: test_e2e_releases.py."""
    register(shop_release.path, tmp_path, precision="fp32")
    generation = (tmp_path / "models").resolve()
    monkeypatch.setenv("ENDCAP_ADMIN_KEY", "a-key-of-the-environment")
    with Server.start(tmp_path) as server:
        assert not (tmp_path / "state" / "admin.key").exists()
        for address in (server.grpc_url, f"http://{server.http_url}"):
            load_models(address, generation, ["tokenize"])
        monkeypatch.setenv("ENDCAP_ADMIN_KEY", "quite-another-key-than-that")
        with pytest.raises(ReleaseError, match="restricted"):
            load_models(server.grpc_url, generation, ["tokenize"])


# The key ---------------------------------------------------------------------------------------------


def test_key_comes_from_the_environment_a_file_or_the_repository(tmp_path):
    file = tmp_path / "key"
    file.write_text("key-of-a-named-file-\n")
    own = tmp_path / "state" / "admin.key"
    assert admin_key(tmp_path, {}) is None
    own.parent.mkdir()
    own.write_text("key-of-the-repository\n")
    assert admin_key(tmp_path, {}) == "key-of-the-repository"
    named = {"ENDCAP_ADMIN_KEY_FILE": str(file)}
    assert admin_key(tmp_path, named) == "key-of-a-named-file-"
    assert admin_key(tmp_path, {**named, "ENDCAP_ADMIN_KEY": "key-of-the-variable"}) == "key-of-the-variable"


@pytest.mark.parametrize(
    "key", ["short", "a key with spaces in it", "schlüssel-mit-umlauten", "tab\tin-a-long-key"]
)
def test_key_that_no_header_can_carry_is_refused_unseen(tmp_path, key):
    with pytest.raises(InvalidInputError, match="ENDCAP_ADMIN_KEY: got") as caught:
        admin_key(tmp_path, {"ENDCAP_ADMIN_KEY": key})
    assert key not in str(caught.value)


# Addresses -------------------------------------------------------------------------------------------


def test_metrics_and_plain_http_stay_on_loopback(tmp_path):
    tls = Tls(tmp_path / "a", tmp_path / "b")
    everywhere = Launch(tmp_path, host="0.0.0.0")
    assert everywhere.metrics_host == "127.0.0.1"
    assert everywhere.http_address == "0.0.0.0"
    assert Launch(tmp_path, host="0.0.0.0", tls=tls).http_address == "127.0.0.1"
    assert Launch(tmp_path, host="0.0.0.0", tls=tls, http_host="0.0.0.0").http_address == "0.0.0.0"


# TLS -------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def certificates(tmp_path_factory):
    """Two authorities; one signed the server's and a caller's certificate, the other a stranger's."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl makes the certificates and is not installed")
    folder = tmp_path_factory.mktemp("certificates")

    def openssl(*arguments):
        subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True)

    new = ("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")
    for authority in ("ours", "theirs"):
        openssl(
            *new,
            "-x509",
            "-subj",
            f"/CN={authority}",
            "-keyout",
            f"{authority}.key",
            "-out",
            f"{authority}.pem",
        )
    (folder / "names").write_text("subjectAltName=IP:127.0.0.1,DNS:localhost\n")
    for name, authority in (("server", "ours"), ("caller", "ours"), ("stranger", "theirs")):
        openssl(*new, "-subj", f"/CN={name}", "-keyout", f"{name}.key", "-out", f"{name}.csr")
        signed = ("-CA", f"{authority}.pem", "-CAkey", f"{authority}.key", "-CAcreateserial")
        openssl("x509", "-req", "-in", f"{name}.csr", *signed, "-extfile", "names", "-out", f"{name}.pem")
    return folder


class Collector(http.server.BaseHTTPRequestHandler):
    """An OTLP collector that keeps what it gets."""

    bodies: ClassVar[list[tuple[str, bytes]]] = []

    def do_POST(self):
        self.bodies.append((self.path, self.rfile.read(int(self.headers["Content-Length"]))))
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_):
        pass


@pytest.fixture(scope="module")
def collector():
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Collector) as listening:
        threading.Thread(target=listening.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{listening.server_port}/v1/traces"
        listening.shutdown()


@pytest.fixture(scope="module")
def guarded(repository, tmp_path_factory, certificates, collector):
    """A server with mutual TLS that traces every request."""
    tls = Tls(certificates / "server.pem", certificates / "server.key", certificates / "ours.pem")
    state = tmp_path_factory.mktemp("state")
    with Server.start(repository, state=state, tls=tls, traces=Traces(collector, 1)) as server:
        yield server


def secured(server, certificates, *, trusted="ours", caller="caller"):
    files = {"root_certificates": str(certificates / f"{trusted}.pem")}
    if caller:
        files |= {
            "certificate_chain": str(certificates / f"{caller}.pem"),
            "private_key": str(certificates / f"{caller}.key"),
        }
    return tritonclient.grpc.InferenceServerClient(server.grpc_url, ssl=True, **files)


def test_mutual_tls_lets_a_known_caller_in(guarded, certificates):
    with secured(guarded, certificates) as client:
        assert client.is_server_ready()


@pytest.mark.parametrize(
    "wrong",
    [{"trusted": "theirs"}, {"caller": "stranger"}, {"caller": ""}],
    ids=["a server that the caller does not trust", "a caller of another authority", "no certificate"],
)
def test_mutual_tls_refuses(guarded, certificates, wrong):
    with secured(guarded, certificates, **wrong) as client, pytest.raises(InferenceServerException):
        client.is_server_ready(client_timeout=5)


def test_tls_refuses_plain_text(guarded):
    with (
        tritonclient.grpc.InferenceServerClient(guarded.grpc_url) as client,
        pytest.raises(InferenceServerException),
    ):
        client.is_server_ready(client_timeout=5)


def test_server_without_mutual_tls_is_what_its_certificate_says(repository, certificates, tmp_path):
    with Server.start(
        repository, state=tmp_path, tls=Tls(certificates / "server.pem", certificates / "server.key")
    ) as server:
        with secured(server, certificates, caller="") as client:
            assert client.is_server_ready()
        with (
            secured(server, certificates, trusted="theirs", caller="") as client,
            pytest.raises(InferenceServerException),
        ):
            client.is_server_ready(client_timeout=5)
        channel = grpcio.insecure_channel(server.grpc_url)
        with pytest.raises(grpcio.FutureTimeoutError):
            grpcio.channel_ready_future(channel).result(timeout=2)
        channel.close()


def test_register_over_mutual_tls(guarded, certificates, repository, monkeypatch):
    address = f"grpcs://{guarded.grpc_url}"
    for name, file in (("CA", "ours.pem"), ("CERT", "caller.pem"), ("KEY", "caller.key")):
        monkeypatch.setenv(f"ENDCAP_TLS_{name}", str(certificates / file))
    load_models(address, (repository / "models").resolve(), ["tokenize"])
    monkeypatch.setenv("ENDCAP_TLS_CA", str(certificates / "absent.pem"))
    with pytest.raises(InvalidInputError, match="ENDCAP_TLS_CA"):
        load_models(address, (repository / "models").resolve(), ["tokenize"])


@pytest.mark.parametrize("wrong", ["absent.pem", "server.key"])
def test_unusable_certificate_is_named(certificates, wrong):
    with pytest.raises(InvalidInputError, match="tls_cert: got"):
        Tls(certificates / wrong, certificates / "server.key").validate()


def test_certificate_without_its_key_is_refused():
    with pytest.raises(InvalidInputError, match="tls_key: got None"):
        Tls.of(Path("a.pem"), None, None)


# Traces ----------------------------------------------------------------------------------------------


def test_traces_name_every_step_and_nothing_of_the_request(guarded, certificates, collector):
    raw = Raw.__new__(Raw)
    raw.module, raw.client = tritonclient.grpc, secured(guarded, certificates)
    raw.search("trace of a red gown", user="traced-shopper", k=3)
    raw.client.close()

    def spans():
        return b"".join(body for path, body in Collector.bodies if path == "/v1/traces")

    wait_until(lambda: all(step in spans() for step in (b"search", b"tokenize", b"encode", b"rerank")))
    assert b"endcap" in spans()
    assert b"red gown" not in spans()
    assert b"traced-shopper" not in spans()


@pytest.mark.parametrize("url", ["localhost:4318", "http://localhost:4318", "ftp://host/v1/traces"])
def test_collector_that_cannot_be_one_is_named(url):
    with pytest.raises(InvalidInputError, match="otlp: got"):
        Traces(url).validate()
