"""What both gRPC transports share: the channel, its settings, the headers of a call, errors."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import grpc
from tritonclient.grpc import service_pb2_grpc

from endcap_client.connection import ClientOptions
from endcap_client.errors import EndcapError
from endcap_client.failures import error_from
from endcap_client.tls import context_of
from endcap_client.tracing import propagation


class Channel:
    """One channel to one server.

    Args:
        url: ``host:port``.
        options: of the client.
        made_by: ``grpc`` or ``grpc.aio``, which makes it.
    """

    def __init__(self, url: str, options: ClientOptions, made_by: Any) -> None:
        self._url = url
        self._options = options
        self._metadata = tuple(options.headers.items())
        self._trace = propagation()
        credentials = credentials_of(options)
        arguments = channel_arguments(options)
        self._channel = (
            made_by.insecure_channel(url, arguments)
            if credentials is None
            else made_by.secure_channel(url, credentials, arguments)
        )
        self._stub = service_pb2_grpc.GRPCInferenceServiceStub(self._channel)

    def _headers(self) -> tuple[tuple[str, str], ...]:
        """As gRPC takes them, with the trace that is passed on."""
        if self._trace is None:
            return self._metadata
        return (*self._metadata, *self._trace().items())


def channel_arguments(options: ClientOptions) -> list[tuple[str, int]]:
    """gRPC's settings of a channel."""
    arguments = [
        ("grpc.max_send_message_length", -1),
        ("grpc.max_receive_message_length", -1),
        # gRPC waits up to two minutes between attempts by default; a restarted server is back in seconds.
        ("grpc.initial_reconnect_backoff_ms", 100),
        ("grpc.max_reconnect_backoff_ms", 2000),
        # Despite its name also how long an attempt to connect may take.
        ("grpc.min_reconnect_backoff_ms", max(1, round(options.connect_timeout * 1000))),
    ]
    if options.keep_alive is not None:
        arguments += [
            ("grpc.keepalive_time_ms", max(1, round(options.keep_alive * 1000))),
            ("grpc.keepalive_timeout_ms", max(1, round(options.connect_timeout * 1000))),
            ("grpc.keepalive_permit_without_calls", 1),
            ("grpc.http2.max_pings_without_data", 0),
        ]
    return arguments


def credentials_of(options: ClientOptions) -> grpc.ChannelCredentials | None:
    """The credentials of a TLS channel; None for a plain one.

    Raises:
        InvalidRequest: a file holds no certificate or key.
    """
    tls = options.tls
    if tls is None:
        return None
    # gRPC reports a file that it cannot read as a server that it cannot reach.
    context_of(tls)
    ca, key, certificate = (
        None if file is None else Path(file).read_bytes() for file in (tls.ca, tls.key, tls.certificate)
    )
    return grpc.ssl_channel_credentials(ca, key, certificate)


def error_of(failure: Any, url: str) -> EndcapError:
    """The SDK's error for a failed gRPC call (a ``grpc.RpcError`` with a status)."""
    return error_from(failure.code().name, failure.details(), url=url)
