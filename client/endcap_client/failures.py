"""From what a transport reports (a status and a text) to the SDK's error tree."""

from __future__ import annotations

import re

from endcap_client.errors import (
    AccessDenied,
    CertificateError,
    EndcapError,
    IncompatibleServer,
    InvalidRequest,
    Overloaded,
    ServerError,
    Timeout,
    Unavailable,
    WrongProtocol,
)

# The server's messages read ``FIELD (row N): got VALUE; WHAT WOULD BE RIGHT``, the row only in batches.
_FIELD = re.compile(r"^(?P<field>[A-Za-z_].{0,300}?)(?: \(row \d+\))?: got .*; ", re.DOTALL)
# Triton's own checks of shapes and dtypes: ``unexpected shape for input 'k' for model 'search'``.
_TENSOR = re.compile(r"(?:input|tensor) '(?P<field>\w+)'")
_PREFIX = re.compile(r"^(?:in ensemble '[^']*', |\[request id: [^\]]*\] )+")
_HTTP_ON_GRPC = re.compile(
    r"http1\.x|HTTP/1|settings frame|parsing HTTP/2|content-type|Missing :status", re.IGNORECASE
)
_CERTIFICATE = re.compile(
    r"CERTIFICATE_VERIFY_FAILED(?:: (?P<why>[\w ]+))?|Hostname Verification Check failed|"
    r"Peer name \S+ is not in peer certificate|ALERT_\w*CERTIFICATE\w*|UNKNOWN_CA"
)
_NOT_TLS = "WRONG_VERSION_NUMBER"
# A model between two versions, or a server that is going down.
_LEAVING = (
    "no available versions",
    "not at ready state",
    "is not ready",
    "server is stopping",
    "shutting down",
)

_BY_HTTP_STATUS = {
    "400": "INVALID_ARGUMENT",
    "401": "PERMISSION_DENIED",
    "403": "PERMISSION_DENIED",
    "404": "NOT_FOUND",
    "408": "DEADLINE_EXCEEDED",
    "409": "INVALID_ARGUMENT",
    "413": "INVALID_ARGUMENT",
    "429": "RESOURCE_EXHAUSTED",
    "499": "CANCELLED",
    "501": "UNIMPLEMENTED",
    "502": "UNAVAILABLE",
    "503": "UNAVAILABLE",
    "504": "DEADLINE_EXCEEDED",
}

_OTHER_VERSION = "SDK and server are of different versions, or no release is registered there"


def error_from(status: str | None, message: str | None, *, url: str) -> EndcapError:
    """The error for a refused or failed call.

    Args:
        status: a gRPC status (``StatusCode.UNAVAILABLE``) or an HTTP status (``503``).
        message: what the server or the transport said.
        url: address of the server, for the message.
    """
    code = (status or "").rpartition(".")[2]
    code = _BY_HTTP_STATUS.get(code, code)
    text = _PREFIX.sub("", message or "no message")
    lowered = text.casefold()
    if "restricted" in lowered or code in {"PERMISSION_DENIED", "UNAUTHENTICATED"}:
        return AccessDenied(
            f"{url}: {text}; pass the server's key as api_key=…, its name as api_key_header=…"
        )
    if any(sign in lowered for sign in _LEAVING):
        return Unavailable(f"{url}: {text}", may_have_run=False)
    if "unknown model" in lowered or "is not found" in lowered or code in {"NOT_FOUND", "UNIMPLEMENTED"}:
        return IncompatibleServer(f"{url}: {text}; {_OTHER_VERSION}")
    if code == "INVALID_ARGUMENT":
        return _refused(text, url)
    if code == "DEADLINE_EXCEEDED":
        return timeout_of(url)
    if code == "RESOURCE_EXHAUSTED" or "maximum queue size" in lowered:
        return Overloaded(f"{url}: {text}", may_have_run=False)
    if code == "UNAVAILABLE":
        return _unavailable(text, url)
    # We never cancel a call whose answer we wait for: the server did, as it went down.
    if code == "CANCELLED":
        return Unavailable(f"{url}: {text}")
    return ServerError(f"{url}: {text}")


def timeout_of(url: str) -> Timeout:
    """The error of a call whose deadline passed."""
    return Timeout(f"{url}: no answer before the deadline; give it more timeout, or go on without")


def _refused(text: str, url: str) -> EndcapError:
    lowered = text.casefold()
    found = _FIELD.search(text) or _TENSOR.search(text)
    if found is None and (
        "unexpected inference output" in lowered or "unexpected inference input" in lowered
    ):
        return IncompatibleServer(f"{url}: {text}; {_OTHER_VERSION}")
    return InvalidRequest(text, found["field"] if found else None)


def _unavailable(text: str, url: str) -> EndcapError:
    connecting = "failed to connect" in text or "handshake" in text or "DNS" in text
    if _NOT_TLS in text:
        return WrongProtocol(f"{url}: does not speak TLS; connect without tls, or to another port")
    if certificate := _CERTIFICATE.search(text):
        why = certificate["why"] or certificate[0]
        return CertificateError(
            f"{url}: no TLS connection: {why.strip()}; check Tls(ca=…) and the certificates"
        )
    if _HTTP_ON_GRPC.search(text):
        return WrongProtocol(f"{url}: does not speak gRPC ({text}); gRPC is usually at port 8001")
    return Unavailable(f"{url}: {text}", may_have_run=not connecting)
