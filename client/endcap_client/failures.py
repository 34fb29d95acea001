"""From what a transport reports (a status and a text) to the SDK's error tree."""

from __future__ import annotations

import re

from endcap_client.errors import (
    AccessDenied,
    EndcapError,
    IncompatibleServer,
    InvalidRequest,
    ServerError,
    Timeout,
    Unavailable,
)

# The server's messages read ``FIELD (row N): got VALUE; WHAT WOULD BE RIGHT``, the row only in batches.
_FIELD = re.compile(r"^(?P<field>[A-Za-z_].{0,300}?)(?: \(row \d+\))?: got .*; ", re.DOTALL)
# Triton's own checks of shapes and dtypes: ``unexpected shape for input 'k' for model 'search'``.
_TENSOR = re.compile(r"(?:input|tensor) '(?P<field>\w+)'")
_PREFIX = re.compile(r"^(?:in ensemble '[^']*', |\[request id: [^\]]*\] )+")
_HTTP_ON_GRPC = re.compile(
    r"http1\.x|HTTP/1|settings frame|parsing HTTP/2|content-type|Missing :status", re.IGNORECASE
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
        return AccessDenied(f"{url}: {text}")
    if "unknown model" in lowered or "is not found" in lowered or code in {"NOT_FOUND", "UNIMPLEMENTED"}:
        return IncompatibleServer(f"{url}: {text}")
    if code == "INVALID_ARGUMENT":
        found = _FIELD.search(text) or _TENSOR.search(text)
        if found is None and (
            "unexpected inference output" in lowered or "unexpected inference input" in lowered
        ):
            return IncompatibleServer(f"{url}: {text}")
        return InvalidRequest(text, found["field"] if found else None)
    if code == "DEADLINE_EXCEEDED":
        return timeout_of(url)
    if code == "UNAVAILABLE" and _HTTP_ON_GRPC.search(text):
        return IncompatibleServer(f"{url}: does not speak gRPC ({text}); is it the port of another protocol?")
    if code in {"UNAVAILABLE", "RESOURCE_EXHAUSTED"}:
        return Unavailable(f"{url}: {text}")
    return ServerError(f"{url}: {text}")


def timeout_of(url: str) -> Timeout:
    """The error of a call whose deadline passed."""
    return Timeout(f"{url}: no answer before the deadline")
