"""What listens at an address where no connection was made: the transports themselves cannot tell."""

from __future__ import annotations

import socket
import ssl

from endcap_client.connection import ClientOptions, Tls
from endcap_client.errors import CertificateError, EndcapError, Unavailable, WrongProtocol
from endcap_client.tls import context_of

_PATIENCE = 0.2
_SIGNS = (
    "failed to connect",
    "socket closed",
    "handshake",
    "ssl",
    "reset",
    "closed connection",
    "disconnected",
)

_WANTED = "it wants one of its authority: Tls(certificate=…, key=…)"


def unexplained(error: EndcapError) -> bool:
    """Whether a connection broke in a way that another protocol or a certificate may explain."""
    said = str(error).casefold()
    return isinstance(error, Unavailable) and any(sign in said for sign in _SIGNS)


def diagnosis(url: str, options: ClientOptions, timeout: float) -> EndcapError | None:
    """Ask the server in HTTP/1.1 and in TLS, and say what is wrong; None when neither tells.

    Args:
        url: ``host:port``.
        options: how the client connected.
        timeout: seconds that may be spent.
    """
    wait = min(_PATIENCE, timeout)
    if wait <= 0:
        return None
    if options.tls is not None:
        return _tls_problem(url, options.tls, wait)
    if options.protocol == "grpc":
        question = f"GET / HTTP/1.1\r\nHost: {url}\r\nConnection: close\r\n\r\n"
        if _first_bytes(url, question.encode(), wait).startswith(b"HTTP/1."):
            return WrongProtocol(f"{url}: speaks HTTP/1.1, not gRPC; gRPC is usually at port 8001")
    if _speaks_tls(url, wait):
        return WrongProtocol(f"{url}: speaks TLS; connect with tls=True or tls=Tls(ca=…)")
    return None


def _address(url: str) -> tuple[str, int]:
    host, _, port = url.rpartition(":")
    return host.strip("[]"), int(port)


def _first_bytes(url: str, question: bytes, wait: float) -> bytes:
    try:
        with socket.create_connection(_address(url), wait) as connection:
            connection.sendall(question)
            return connection.recv(16)
    except OSError:
        return b""


def _speaks_tls(url: str, wait: float) -> bool:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.set_alpn_protocols(["h2", "http/1.1"])
    try:
        with socket.create_connection(_address(url), wait) as connection, context.wrap_socket(connection):
            return True
    except OSError:
        return False


def _tls_problem(url: str, tls: Tls, wait: float) -> EndcapError | None:
    context = context_of(tls)
    context.set_alpn_protocols(["h2", "http/1.1"])
    host = _address(url)[0]
    try:
        with (
            socket.create_connection(_address(url), wait) as connection,
            context.wrap_socket(connection, server_hostname=host) as wrapped,
        ):
            # In TLS 1.3 the server refuses a client's certificate after the handshake, gRPC's without a word;
            # one that is content says something first (gRPC), or waits (HTTP).
            wrapped.settimeout(wait)
            hung_up = wrapped.recv(1) == b""
    except ssl.SSLError as error:
        return tls_error(error, url)
    except ConnectionResetError:
        hung_up = True
    except OSError:
        return None
    return CertificateError(f"{url}: the server hangs up on our certificate; {_WANTED}") if hung_up else None


def tls_error(error: ssl.SSLError, url: str) -> EndcapError:
    """The SDK's error for a TLS connection that was not made."""
    reason = (error.reason or "").upper()
    if isinstance(error, ssl.SSLCertVerificationError):
        return CertificateError(f"{url}: the server's certificate is refused: {error.verify_message}")
    if reason in {"WRONG_VERSION_NUMBER", "HTTP_REQUEST", "PACKET_LENGTH_TOO_LONG", "RECORD_LAYER_FAILURE"}:
        return WrongProtocol(f"{url}: does not speak TLS; connect without tls, or to another port")
    if "CERTIFICATE" in reason or "UNKNOWN_CA" in reason:
        said = reason.replace("_", " ").lower()
        return CertificateError(f"{url}: the server refuses our certificate ({said}); {_WANTED}")
    return CertificateError(f"{url}: no TLS connection ({error})")
