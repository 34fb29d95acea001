"""How a client connects and calls: every argument of its constructor, validated once."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from endcap_client.errors import InvalidRequest

Protocol = Literal["grpc", "http"]

_DEFAULT_PORTS = {"grpc": 8001, "http": 8000}
RESTRICTED_PREFIX = "triton-grpc-protocol-"
"""What Triton puts before a key's name in gRPC metadata (``--grpc-restricted-protocol``)."""


@dataclass(frozen=True)
class Tls:
    """Encrypted connections.

    Attributes:
        ca: PEM file of the authorities to trust; None trusts those of the system.
        certificate: PEM file of the client's certificate, where the server asks for one.
        key: PEM file of its private key.

    Example:
        >>> Client("shop.example:8001", tls=Tls(ca="ca.pem"))             # doctest: +SKIP
    """

    ca: str | Path | None = None
    certificate: str | Path | None = None
    key: str | Path | None = field(default=None, repr=False)


@dataclass(frozen=True)
class ClientOptions:
    """What :class:`~endcap_client.client.Client` and its asyncio twin are made from.

    Attributes:
        urls: ``host:port`` of each server.
        protocol: grpc or http.
        timeout: default deadline of a call in seconds.
        headers: sent with every call (gRPC metadata or HTTP headers), the key among them.
        tls: how connections are encrypted; None leaves them plain.
        retries: further attempts after a call met ``Unavailable``.
        backoff: mean pause in seconds before a server is tried again; doubles from attempt to attempt.
        hedge_after: seconds until a second server is asked too; None asks one.
        breaker_failures: failures in a row until a server is left alone.
        breaker_pause: for how many seconds.
        connect_timeout: seconds that a connection may take to be made.
        keep_alive: seconds of silence until a probe is sent; None sends none.
    """

    urls: tuple[str, ...]
    protocol: Protocol
    timeout: float = 5.0
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    tls: Tls | None = None
    retries: int = 2
    backoff: float = 0.05
    hedge_after: float | None = None
    breaker_failures: int = 5
    breaker_pause: float = 1.0
    connect_timeout: float = 1.0
    keep_alive: float | None = None

    @classmethod
    def validated(
        cls,
        url: str | Sequence[str] | None,
        protocol: str,
        *,
        timeout: float,
        headers: Mapping[str, str] | None,
        api_key: str | None,
        api_key_header: str,
        tls: Tls | bool | None,
        retries: int,
        backoff: float,
        hedge_after: float | None,
        breaker_failures: int,
        breaker_pause: float,
        connect_timeout: float,
        keep_alive: float | None,
    ) -> ClientOptions:
        """Check what a client was constructed with.

        Raises:
            TypeError, InvalidRequest: names the argument.
        """
        channel = _protocol(protocol)
        return cls(
            _urls(url, channel),
            channel,
            seconds("timeout", timeout),
            _headers(headers, api_key, api_key_header, channel),
            _tls(tls),
            _count("retries", retries, 0),
            seconds("backoff", backoff),
            None if hedge_after is None else seconds("hedge_after", hedge_after),
            _count("breaker_failures", breaker_failures, 1),
            seconds("breaker_pause", breaker_pause),
            seconds("connect_timeout", connect_timeout),
            None if keep_alive is None else seconds("keep_alive", keep_alive),
        )


def seconds(name: str, value: float) -> float:
    """``value`` if it can be a time span.

    Raises:
        TypeError: not a number.
        InvalidRequest: not positive and finite.
    """
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise TypeError(f"{name}: seconds are expected, got {type(value).__name__}")
    if not 0 < value < math.inf:
        raise InvalidRequest(f"{name}: got {value}; a positive number of seconds is expected", name)
    return value


def _protocol(protocol: str) -> Protocol:
    if protocol == "grpc":
        return "grpc"
    if protocol == "http":
        return "http"
    raise InvalidRequest(f"protocol: got {protocol!r}; 'grpc' or 'http' is expected", "protocol")


def _urls(url: str | Sequence[str] | None, protocol: Protocol) -> tuple[str, ...]:
    if url is None:
        return (f"localhost:{_DEFAULT_PORTS[protocol]}",)
    urls = (url,) if isinstance(url, str) else tuple(url)
    for each in urls:
        if not isinstance(each, str):
            raise TypeError(f"url: a str or several are expected, got {type(each).__name__}")
        host, _, port = each.rpartition(":")
        if not host or "/" in each or not port.isdecimal() or not 0 < int(port) < 65536:
            raise InvalidRequest(f"url: got {each!r}; host:port without a scheme is expected", "url")
    if not urls or len(set(urls)) != len(urls):
        raise InvalidRequest(f"url: got {list(urls)}; one or more different servers are expected", "url")
    return urls


def _headers(
    headers: Mapping[str, str] | None, api_key: str | None, api_key_header: str, protocol: Protocol
) -> dict[str, str]:
    sent = dict(headers or {})
    if api_key is not None:
        sent[api_key_header] = api_key
        if protocol == "grpc":
            sent[RESTRICTED_PREFIX + api_key_header] = api_key
    for name, value in sent.items():
        if not isinstance(name, str) or not isinstance(value, str):
            raise TypeError(f"headers: str are expected, got {name!r}: {type(value).__name__}")
        # The value may be a secret: it stays out of the message.
        if not name or not name.isascii() or not name.replace("-", "").replace("_", "").isalnum():
            raise InvalidRequest(
                f"headers: got the name {name!r}; letters, digits, - are expected", "headers"
            )
        if not value.isascii() or not value.isprintable():
            field_name = "api_key" if api_key is not None and value == api_key else "headers"
            raise InvalidRequest(f"{field_name}: printable ASCII is expected in {name!r}", field_name)
    # gRPC takes lower-case names only; HTTP does not mind.
    return {name.lower(): value for name, value in sent.items()}


def _tls(tls: Tls | bool | None) -> Tls | None:
    if tls is None or tls is False:
        return None
    tls = Tls() if tls is True else tls
    if not isinstance(tls, Tls):
        raise TypeError(f"tls: a Tls or True is expected, got {type(tls).__name__}")
    for name in ("ca", "certificate", "key"):
        file = getattr(tls, name)
        if file is not None and not Path(file).is_file():
            raise InvalidRequest(f"tls.{name}: got {str(file)!r}; a PEM file is expected", f"tls.{name}")
    if (tls.certificate is None) != (tls.key is None):
        missing = "key" if tls.key is None else "certificate"
        raise InvalidRequest(f"tls.{missing}: got None; certificate and key go together", f"tls.{missing}")
    return tls


def _count(name: str, value: int, least: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{name}: an int is expected, got {type(value).__name__}")
    if value < least:
        raise InvalidRequest(f"{name}: got {value}; {least} or more is expected", name)
    return value
