"""Blocking gRPC, on the stubs of ``tritonclient``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import grpc
from tritonclient.grpc import service_pb2

from endcap_client.connection import ClientOptions
from endcap_client.diagnosis import diagnosis, unexplained
from endcap_client.errors import EndcapError
from endcap_client.grpc_channel import Channel, error_of
from endcap_client.grpc_codec import decode_answer, encode_request
from endcap_client.operations import Answer, Operation


class GrpcTransport(Channel):
    """One channel to one server, shared by every thread that uses the client."""

    def __init__(self, url: str, options: ClientOptions) -> None:
        super().__init__(url, options, grpc)

    def infer(self, operation: Operation[Any], timeout: float) -> Answer:
        """See :class:`~endcap_client.transport.Transport`."""
        try:
            response = self._stub.ModelInfer(
                encode_request(operation), timeout=timeout, metadata=self._headers()
            )
        except grpc.RpcError as error:
            raise error_of(error, self._url) from error
        return decode_answer(response, self._url).get

    def begin(self, operation: Operation[Any], timeout: float, done: Callable[[], None]) -> PendingGrpc:
        """See :class:`~endcap_client.transport.Transport`."""
        call = self._stub.ModelInfer.future(
            encode_request(operation), timeout=timeout, metadata=self._headers()
        )
        call.add_done_callback(lambda _: done())
        return PendingGrpc(call, self._url)

    def ready(self, model: str, timeout: float) -> bool:
        """See :class:`~endcap_client.transport.Transport`."""
        metadata = self._headers()
        try:
            server = self._stub.ServerReady(
                service_pb2.ServerReadyRequest(), timeout=timeout, metadata=metadata
            )
            if not server.ready:
                return False
            answer = self._stub.ModelReady(
                service_pb2.ModelReadyRequest(name=model), timeout=timeout, metadata=metadata
            )
            return bool(answer.ready)
        except grpc.RpcError as error:
            raise error_of(error, self._url) from error

    def explain(self, error: EndcapError, timeout: float) -> EndcapError:
        """See :class:`~endcap_client.transport.Transport`."""
        return (unexplained(error) and diagnosis(self._url, self._options, timeout)) or error

    def close(self) -> None:
        """Close the channel."""
        self._channel.close()


class PendingGrpc:
    """A call in flight. See :class:`~endcap_client.transport.Pending`."""

    def __init__(self, call: Any, url: str) -> None:
        self._call = call
        self._url = url

    def finished(self) -> bool:
        """Whether :meth:`result` will not wait."""
        return bool(self._call.done())

    def result(self) -> Answer:
        """The answer, or the error."""
        try:
            response = self._call.result()
        except grpc.RpcError as error:
            raise error_of(error, self._url) from error
        return decode_answer(response, self._url).get

    def cancel(self) -> None:
        """Give the call up; the server is told."""
        self._call.cancel()
