"""gRPC for asyncio, on the stubs of ``tritonclient``."""

from __future__ import annotations

import asyncio
from typing import Any

import grpc
import grpc.aio
from tritonclient.grpc import service_pb2

from endcap_client.connection import ClientOptions
from endcap_client.diagnosis import diagnosis, unexplained
from endcap_client.errors import EndcapError
from endcap_client.grpc_channel import Channel, error_of
from endcap_client.grpc_codec import decode_answer, encode_request
from endcap_client.operations import Answer, Operation


class AsyncGrpcTransport(Channel):
    """One channel to one server on the running event loop."""

    def __init__(self, url: str, options: ClientOptions) -> None:
        super().__init__(url, options, grpc.aio)

    async def infer(self, operation: Operation[Any], timeout: float) -> Answer:
        """See :class:`~endcap_client.transport.AsyncTransport`."""
        try:
            response = await self._stub.ModelInfer(
                encode_request(operation), timeout=timeout, metadata=self._headers()
            )
        except grpc.RpcError as error:
            raise error_of(error, self._url) from error
        return decode_answer(response, self._url).get

    async def ready(self, model: str, timeout: float) -> bool:
        """See :class:`~endcap_client.transport.AsyncTransport`."""
        metadata = self._headers()
        try:
            server = await self._stub.ServerReady(
                service_pb2.ServerReadyRequest(), timeout=timeout, metadata=metadata
            )
            if not server.ready:
                return False
            answer = await self._stub.ModelReady(
                service_pb2.ModelReadyRequest(name=model), timeout=timeout, metadata=metadata
            )
            return bool(answer.ready)
        except grpc.RpcError as error:
            raise error_of(error, self._url) from error

    async def explain(self, error: EndcapError, timeout: float) -> EndcapError:
        """See :class:`~endcap_client.transport.AsyncTransport`."""
        if not unexplained(error):
            return error
        return await asyncio.to_thread(diagnosis, self._url, self._options, timeout) or error

    async def close(self) -> None:
        """Close the channel."""
        await self._channel.close()
