"""HTTP for asyncio, on aiohttp."""

from __future__ import annotations

import asyncio
import ssl
from typing import Any

import aiohttp

from endcap_client.connection import ClientOptions
from endcap_client.diagnosis import diagnosis, tls_error, unexplained
from endcap_client.errors import EndcapError, Unavailable, WrongProtocol
from endcap_client.failures import timeout_of
from endcap_client.http_codec import HEADER_LENGTH, HttpReply, encode_request, ready_paths
from endcap_client.operations import Answer, Operation
from endcap_client.tls import context_of
from endcap_client.tracing import propagation


class AsyncHttpTransport:
    """One aiohttp session to one server on the running event loop."""

    def __init__(self, url: str, options: ClientOptions) -> None:
        self._url = url
        self._options = options
        self._headers = dict(options.headers)
        self._trace = propagation()
        context = None if options.tls is None else context_of(options.tls)
        self._base = f"{'http' if context is None else 'https'}://{url}"
        self._session = aiohttp.ClientSession(
            # The SDK bounds nothing but time: no limit on connections, each call has its own deadline.
            connector=aiohttp.TCPConnector(limit=0, ssl=True if context is None else context),
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=options.connect_timeout),
            auto_decompress=False,
        )

    async def infer(self, operation: Operation[Any], timeout: float) -> Answer:
        """See :class:`~endcap_client.transport.AsyncTransport`."""
        body, header_length = encode_request(operation)
        headers = {HEADER_LENGTH: str(header_length), "Content-Type": "application/octet-stream"}
        path = f"/v2/models/{operation.target}/infer"
        reply = await self._exchange("POST", path, body, headers, timeout)
        return reply.answer(self._url)

    async def ready(self, model: str, timeout: float) -> bool:
        """See :class:`~endcap_client.transport.AsyncTransport`."""
        for path in ready_paths(model):
            reply = await self._exchange("GET", path, None, {}, timeout)
            if not reply.ready(self._url):
                return False
        return True

    async def explain(self, error: EndcapError, timeout: float) -> EndcapError:
        """See :class:`~endcap_client.transport.AsyncTransport`."""
        if not unexplained(error):
            return error
        return await asyncio.to_thread(diagnosis, self._url, self._options, timeout) or error

    async def close(self) -> None:
        """Close the session and its connections."""
        await self._session.close()

    async def _exchange(
        self, method: str, path: str, body: bytes | None, headers: dict[str, str], timeout: float
    ) -> HttpReply:
        # A compressed answer of a few kilobytes costs more time than it saves.
        headers = {"Accept-Encoding": "identity", **self._headers, **headers}
        if self._trace is not None:
            headers.update(self._trace())
        url = self._base + path
        try:
            async with (
                asyncio.timeout(timeout),
                self._session.request(
                    method, url, data=body, headers=headers, allow_redirects=False
                ) as response,
            ):
                answer = await response.read()
                length = response.headers.get(HEADER_LENGTH)
                return HttpReply(response.status, response.reason or "", answer, length)
        except aiohttp.ServerTimeoutError as error:
            raise Unavailable(f"{self._url}: {error}", may_have_run=False) from error
        except TimeoutError:
            raise timeout_of(self._url) from None
        except aiohttp.ClientConnectorCertificateError as error:
            raise _tls_failure(error.certificate_error, self._url) from error
        except aiohttp.ClientConnectorError as error:
            if isinstance(error.os_error, ssl.SSLError):
                raise _tls_failure(error.os_error, self._url) from error
            raise Unavailable(f"{self._url}: {error.os_error}", may_have_run=False) from error
        except (aiohttp.ClientConnectionError, ssl.SSLError) as error:
            cause = error if isinstance(error, ssl.SSLError) else error.__cause__ or error.__context__
            if isinstance(cause, ssl.SSLError):
                raise tls_error(cause, self._url) from error
            raise Unavailable(f"{self._url}: {error}") from error
        except (aiohttp.ClientError, ValueError) as error:
            if "\\x15\\x03" in str(error):
                raise WrongProtocol(
                    f"{self._url}: speaks TLS; connect with tls=True or tls=Tls(ca=…)"
                ) from error
            raise WrongProtocol(
                f"{self._url}: does not speak HTTP ({error!r:.200}); HTTP is usually at port 8000"
            ) from error


def _tls_failure(error: Exception, url: str) -> EndcapError:
    if isinstance(error, ssl.SSLError):
        return tls_error(error, url)
    return Unavailable(f"{url}: {error}", may_have_run=False)
