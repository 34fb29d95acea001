"""Client SDK of Endcap: search, recommend, feedback and catalogue updates over gRPC or HTTP.

Example:
    >>> from endcap_client import Client
    >>> with Client("localhost:8001") as shop:                            # doctest: +SKIP
    ...     result = shop.search("cordless drill", user="ada", k=5)
    ...     shop.feedback({"user": "ada", "item": result.items[0].id, "event": "click"})
"""

from endcap_client.async_client import AsyncClient
from endcap_client.client import Client
from endcap_client.connection import Tls
from endcap_client.errors import (
    AccessDenied,
    BufferFull,
    CertificateError,
    ClientClosed,
    EndcapError,
    FeedbackLost,
    IncompatibleServer,
    InvalidRequest,
    Overloaded,
    ServerError,
    Timeout,
    Unavailable,
    WrongProtocol,
)
from endcap_client.events import Event
from endcap_client.fleet import ServerState
from endcap_client.interleaving import Drafted, team_draft
from endcap_client.options import Filters, Options
from endcap_client.results import Item, SearchResult, Tag
from endcap_client.split import Split

__all__ = [
    "AccessDenied",
    "AsyncClient",
    "BufferFull",
    "CertificateError",
    "Client",
    "ClientClosed",
    "Drafted",
    "EndcapError",
    "Event",
    "FeedbackLost",
    "Filters",
    "IncompatibleServer",
    "InvalidRequest",
    "Item",
    "Options",
    "Overloaded",
    "SearchResult",
    "ServerError",
    "ServerState",
    "Split",
    "Tag",
    "Timeout",
    "Tls",
    "Unavailable",
    "WrongProtocol",
    "team_draft",
]
__version__ = "0.1.0"
