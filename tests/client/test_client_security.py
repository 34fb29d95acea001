"""TLS, keys and the trace that is passed on."""

import sys

import pytest
from endcap_client import (
    AccessDenied,
    CertificateError,
    Client,
    IncompatibleServer,
    InvalidRequest,
    Tls,
    WrongProtocol,
)

trustme = pytest.importorskip("trustme", reason="trustme makes the certificates")

from certificates import Certificates  # noqa: E402


@pytest.fixture(scope="module")
def certificates(tmp_path_factory):
    return Certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(scope="module")
def strangers(tmp_path_factory):
    """Of an authority that nobody trusts."""
    return Certificates(tmp_path_factory.mktemp("strangers"))


@pytest.fixture
def encrypted(stand_in, flavour, certificates):
    """``encrypted(…)`` starts a TLS server of this flavour's protocol."""
    make = certificates.grpc if flavour.startswith("grpc") else certificates.ssl
    return lambda **keywords: stand_in(make(**keywords))


def test_an_encrypted_server_is_served_by_its_authority(encrypted, open_client, certificates):
    server = encrypted()
    assert open_client(server.url, tls=Tls(ca=certificates.ca), timeout=20.0).search("drill").ids == ["p1"]


def test_a_client_certificate_is_sent_where_the_server_asks_for_one(encrypted, open_client, certificates):
    server = encrypted(mutual=True)
    certificate, key = certificates.issue("client")
    ours = Tls(ca=certificates.ca, certificate=certificate, key=key)
    assert open_client(server.url, tls=ours, timeout=20.0).search("drill").ids == ["p1"]
    with pytest.raises(CertificateError, match=server.url):
        open_client(server.url, tls=Tls(ca=certificates.ca), timeout=20.0).search("drill")


@pytest.mark.parametrize(
    ("made", "says"),
    [
        ({"expired": True}, "expired"),
        ({"host": "elsewhere.example"}, "localhost|ostname|not valid for|Peer name"),
    ],
)
def test_a_certificate_that_is_expired_or_of_another_host_is_named(
    encrypted, open_client, certificates, made, says
):
    server = encrypted(**made)
    with pytest.raises(CertificateError, match=says):
        open_client(server.url, tls=Tls(ca=certificates.ca), timeout=20.0).search("drill")


def test_an_authority_that_is_not_ours_is_refused(encrypted, open_client, strangers):
    server = encrypted()
    client = open_client(server.url, tls=Tls(ca=strangers.ca), timeout=20.0)
    with pytest.raises(CertificateError, match="certificate"):
        client.search("drill")
    with pytest.raises(CertificateError):
        client.ready()


def test_a_server_that_is_left_alone_for_its_certificate_still_says_so(encrypted, open_client, strangers):
    server = encrypted()
    client = open_client(
        server.url, tls=Tls(ca=strangers.ca), timeout=20.0, breaker_failures=2, breaker_pause=60.0
    )
    for _ in range(2):
        with pytest.raises(CertificateError, match="certificate"):
            client.search("drill")
    with pytest.raises(CertificateError, match=rf"{server.url}: left alone .* certificate"):
        client.search("drill")
    assert client.servers[0].circuit == "open"


def test_tls_on_one_side_only_is_the_wrong_protocol(encrypted, stand_in, open_client, certificates):
    with pytest.raises(WrongProtocol, match="TLS"):
        open_client(encrypted().url, timeout=20.0).search("drill")
    plain = stand_in()
    with pytest.raises(WrongProtocol, match="TLS"):
        open_client(f"localhost:{plain.port}", tls=Tls(ca=certificates.ca), timeout=20.0).search("drill")


def test_files_that_are_no_certificates_are_refused_at_once(certificates, tmp_path):
    nonsense = tmp_path / "nonsense.pem"
    nonsense.write_text("hello")
    certificate, key = certificates.issue("client")
    for tls, field in [
        (Tls(ca=tmp_path / "none.pem"), "tls.ca"),
        (Tls(ca=nonsense), "tls.ca"),
        (Tls(certificate=certificate), "tls.key"),
        (Tls(key=key), "tls.certificate"),
        (Tls(certificate=certificate, key=nonsense), "tls.certificate"),
    ]:
        for protocol in ("grpc", "http"):
            with pytest.raises(InvalidRequest) as caught:
                Client("localhost:1", protocol, tls=tls)
            assert caught.value.field == field


def test_the_key_is_sent_and_never_shown(stand_in, open_client, flavour):
    server = stand_in()
    client = open_client(server.url, api_key="s3cret", headers={"X-Shop": "north"})
    client.search("drill")
    assert (server.headers["x-api-key"], server.headers["x-shop"]) == ("s3cret", "north")
    if flavour.startswith("grpc"):
        assert server.headers["triton-grpc-protocol-x-api-key"] == "s3cret"
    assert "s3cret" not in repr(client)
    with pytest.raises(InvalidRequest) as caught:
        open_client(server.url, api_key="s3cret\n")
    assert caught.value.field == "api_key"
    assert "s3cret" not in str(caught.value)


def test_the_callers_trace_is_passed_on(stand_in, open_client):
    pytest.importorskip("opentelemetry.sdk", reason="opentelemetry-sdk makes the trace")
    from opentelemetry.sdk.trace import TracerProvider

    server = stand_in()
    client = open_client(server.url)
    client.search("drill")
    assert "traceparent" not in server.headers
    with TracerProvider().get_tracer("shop").start_as_current_span("page") as span:
        client.search("drill")
    assert f"{span.get_span_context().trace_id:032x}" in server.headers["traceparent"]


def test_without_opentelemetry_nothing_is_added(monkeypatch):
    from endcap_client.tracing import propagation

    for name in [name for name in sys.modules if name.startswith("opentelemetry")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "opentelemetry", None)
    assert propagation() is None


@pytest.fixture(scope="module")
def guarded(tmp_path_factory, shop_release, certificates):
    """A tritonserver with TLS over gRPC, a client certificate wanted, and a key over both protocols."""
    from endcap_export.registry import register

    from endcap.launcher import Server

    folder = tmp_path_factory.mktemp("guarded")
    register(shop_release.path, folder, precision="fp32")
    certificate, key = certificates.issue("localhost")
    extra = (
        "--grpc-use-ssl=1",
        "--grpc-use-ssl-mutual=1",
        f"--grpc-server-cert={certificate}",
        f"--grpc-server-key={key}",
        f"--grpc-root-cert={certificates.ca}",
        "--grpc-restricted-protocol=inference:x-api-key=open sesame",
        "--http-restricted-api=inference:x-api-key=open sesame",
    )
    with Server.start(folder, extra=extra) as running:
        yield running


def test_a_guarded_tritonserver_wants_its_key(guarded, open_client, flavour, certificates):
    if flavour.startswith("grpc"):
        url = f"localhost:{guarded.grpc_url.rpartition(':')[2]}"
        certificate, key = certificates.issue("client")
        keywords = {"tls": Tls(ca=certificates.ca, certificate=certificate, key=key), "timeout": 20.0}
    else:
        url, keywords = guarded.http_url, {"timeout": 20.0}
    assert len(open_client(url, api_key="open sesame", **keywords).search("red tent", k=3)) == 3
    for wrong in (None, "open barley"):
        with pytest.raises(AccessDenied, match="api_key"):
            open_client(url, api_key=wrong, **keywords).search("red tent", k=3)
    if flavour.startswith("grpc"):
        with pytest.raises(CertificateError):
            open_client(url, tls=Tls(ca=certificates.ca), timeout=20.0).search("red tent")


def test_a_server_of_another_version_says_so(stand_in, open_client, flavour):
    if not flavour.startswith("grpc"):
        pytest.skip("the HTTP stand-in has no such status")
    server = stand_in()
    server.refuse = ("NOT_FOUND", "Request for unknown model: 'search' is not found")
    with pytest.raises(IncompatibleServer, match="different versions") as caught:
        open_client(server.url).search("drill")
    assert not isinstance(caught.value, WrongProtocol)
