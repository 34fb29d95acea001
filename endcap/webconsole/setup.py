"""What a console is started with."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from endcap_client import Tls
from endcap_rerank.errors import InvalidInputError

from endcap.webconsole.query_log import QueryLog
from endcap.webconsole.shoppers import Shopper

API_KEY = "ENDCAP_API_KEY"
API_KEY_FILE = "ENDCAP_API_KEY_FILE"
LANGUAGES = ("en", "zh")
METRICS_PORT = 8002
LOOPBACK = ("localhost", "127.0.0.1", "::1")
EVERYWHERE = ("0.0.0.0", "::")


@dataclass(frozen=True)
class ServerAddress:
    """One server that the console asks.

    Attributes:
        url: ``host:port`` of inference.
        protocol: grpc or http.
        metrics: URL of its metrics page.
    """

    url: str
    protocol: Literal["grpc", "http"]
    metrics: str

    @classmethod
    def of(cls, server: str, metrics: str | None = None, *, prefix: str = "") -> ServerAddress:
        """From the options of a command line.

        Args:
            server: ``host:port`` of gRPC, or ``http://host:port``.
            metrics: URL of the metrics page; None is port 8002 of the same host.
            prefix: of the options' names in errors.

        Raises:
            InvalidInputError: an address cannot be one.
        """
        protocol: Literal["grpc", "http"] = "http" if server.startswith("http://") else "grpc"
        url = server.removeprefix("http://").removeprefix("grpc://")
        host, _, port = url.rpartition(":")
        if not host or "/" in url or not port.isdecimal():
            raise InvalidInputError(f"{prefix}server", server, "host:port or http://host:port is expected")
        if metrics is None:
            metrics = f"http://{host}:{METRICS_PORT}/metrics"
        parts = urlsplit(metrics)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            expected = "a URL such as http://localhost:8002/metrics is expected"
            raise InvalidInputError(f"{prefix}metrics", metrics, expected)
        return cls(url, protocol, metrics)


@dataclass(frozen=True)
class Setup:
    """What a console is started with.

    Attributes:
        servers: one, or two to compare.
        queries: what suggestions come from.
        shoppers: offered in the picker, busiest first.
        timeout: deadline of a call in seconds.
        api_key: sent to the servers; never to the browser.
        tls: how gRPC is encrypted; None is plain.
        pictures: origins that product pictures may be loaded from.
        hosts: names under which a browser may reach the console; ``*`` for any.
        language: of the page until someone switches; None follows the browser.
        query: what is asked first; blank shows recommendations.
    """

    servers: tuple[ServerAddress, ...]
    queries: QueryLog = field(default_factory=QueryLog)
    shoppers: tuple[Shopper, ...] = ()
    timeout: float = 5.0
    api_key: str | None = field(default=None, repr=False)
    tls: Tls | None = None
    pictures: tuple[str, ...] = ()
    hosts: tuple[str, ...] = LOOPBACK
    language: str | None = None
    query: str = ""


def api_key(environment: Mapping[str, str] | None = None) -> str | None:
    """The key of ``ENDCAP_API_KEY``, else of the file that ``ENDCAP_API_KEY_FILE`` names, else None.

    Raises:
        InvalidInputError: the file cannot be read or is empty.
    """
    env = os.environ if environment is None else environment
    if given := env.get(API_KEY):
        return given
    if named := env.get(API_KEY_FILE):
        expected = "a readable file with one key is expected"
        try:
            key = Path(named).read_text("utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise InvalidInputError(API_KEY_FILE, named, f"{expected} ({error})") from None
        if not key:
            raise InvalidInputError(API_KEY_FILE, named, expected)
        return key
    return None


def allowed_hosts(host: str) -> tuple[str, ...]:
    """Names that a browser may use for a console listening on ``host``; others could be DNS rebinding."""
    return ("*",) if host in EVERYWHERE else tuple(dict.fromkeys((*LOOPBACK, host)))


def origin(picture: str) -> str:
    """``picture`` if it is an origin that a Content-Security-Policy can name.

    Raises:
        InvalidInputError: a path, a wildcard, or no http or https URL.
    """
    parts = urlsplit(picture)
    try:
        port = f":{parts.port}" if parts.port else ""
    except ValueError:
        port = ":?"
    plain = f"{parts.scheme}://{parts.hostname}{port}"
    known = parts.scheme in ("http", "https") and parts.hostname is not None
    if (
        not known
        or picture.rstrip("/").casefold() != plain
        or not plain.isascii()
        or set(plain) & set(" ;,*'\"")
    ):
        raise InvalidInputError(
            "pictures", picture, "an origin such as https://images.shop.example is expected"
        )
    return plain
