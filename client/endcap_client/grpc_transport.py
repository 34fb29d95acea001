"""Blocking gRPC, on ``tritonclient.grpc``."""

from __future__ import annotations

from typing import Any

from tritonclient.grpc import InferenceServerClient
from tritonclient.utils import InferenceServerException

from endcap_client.grpc_channel import CHANNEL_ARGUMENTS, error_of, request_inputs, requested_outputs
from endcap_client.operations import Answer, Operation
from endcap_client.transport import Target


class GrpcTransport:
    """One channel, shared by every thread that uses the client."""

    def __init__(self, target: Target) -> None:
        self._url = target.url
        self._headers = dict(target.headers) or None
        self._client = InferenceServerClient(target.url, channel_args=CHANNEL_ARGUMENTS)

    def infer(self, operation: Operation[Any], timeout: float) -> Answer:
        """See :class:`~endcap_client.transport.Transport`."""
        try:
            result = self._client.infer(
                operation.model,
                request_inputs(operation),
                outputs=requested_outputs(operation.outputs),
                headers=self._headers,
                client_timeout=timeout,
            )
        except InferenceServerException as error:
            raise error_of(error, self._url) from error
        answer: Answer = result.as_numpy
        return answer

    def ready(self, model: str, timeout: float) -> bool:
        """See :class:`~endcap_client.transport.Transport`."""
        try:
            return bool(
                self._client.is_server_ready(headers=self._headers, client_timeout=timeout)
                and self._client.is_model_ready(model, headers=self._headers, client_timeout=timeout)
            )
        except InferenceServerException as error:
            raise error_of(error, self._url) from error

    def close(self) -> None:
        """Close the channel."""
        self._client.close()
