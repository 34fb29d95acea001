"""HTTP for asyncio, on ``tritonclient.http.aio`` (aiohttp).

Importing it imports gevent, as a part of ``tritonclient.http``; none of it runs.
"""

from __future__ import annotations

import asyncio
from typing import Any

import aiohttp
from tritonclient.http import InferInput, InferRequestedOutput
from tritonclient.http.aio import InferenceServerClient
from tritonclient.utils import InferenceServerException

from endcap_client.errors import IncompatibleServer, Unavailable
from endcap_client.failures import error_from, timeout_of
from endcap_client.operations import Answer, Operation
from endcap_client.transport import Target


class AsyncHttpTransport:
    """One aiohttp session on the running event loop."""

    def __init__(self, target: Target) -> None:
        self._url = target.url
        self._headers = dict(target.headers) or None
        # Each call has its own deadline below.
        self._client = InferenceServerClient(target.url, conn_timeout=None)

    async def infer(self, operation: Operation[Any], timeout: float) -> Answer:
        """See :class:`~endcap_client.transport.AsyncTransport`."""
        inputs = []
        for name, datatype, values in operation.inputs:
            tensor = InferInput(name, list(values.shape), datatype)
            tensor.set_data_from_numpy(values)
            inputs.append(tensor)
        outputs = [InferRequestedOutput(name) for name in operation.outputs]
        result = await self._call(
            self._client.infer(operation.model, inputs, outputs=outputs, headers=self._headers), timeout
        )
        answer: Answer = result.as_numpy
        return answer

    async def ready(self, model: str, timeout: float) -> bool:
        """See :class:`~endcap_client.transport.AsyncTransport`."""
        return bool(
            await self._call(self._client.is_server_ready(headers=self._headers), timeout)
            and await self._call(self._client.is_model_ready(model, headers=self._headers), timeout)
        )

    async def close(self) -> None:
        """Close the session and its connections."""
        await self._client.close()

    async def _call(self, call: Any, timeout: float) -> Any:
        try:
            async with asyncio.timeout(timeout):
                return await call
        except TimeoutError:
            raise timeout_of(self._url) from None
        except InferenceServerException as error:
            raise error_from(error.status(), error.message(), url=self._url) from error
        except aiohttp.ClientConnectionError as error:
            raise Unavailable(f"{self._url}: {error}") from error
        except (aiohttp.ClientError, ValueError, KeyError, TypeError) as error:
            # tritonclient lets the errors of a parser through when the answer is not Triton's.
            raise IncompatibleServer(
                f"{self._url}: no Triton over HTTP ({error!r}); is it the port of another protocol?"
            ) from error
