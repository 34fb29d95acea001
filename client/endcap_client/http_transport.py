"""Blocking HTTP, on the standard library.

Not on ``tritonclient.http``: that one belongs to a single thread (it switches greenlets of one gevent hub),
pulls gevent into the shop's process and has no deadline per call. This is a pool of plain connections
with Triton's binary format on top.
"""

from __future__ import annotations

import http.client
import json
import time
from collections import deque
from typing import Any

from endcap_client.errors import IncompatibleServer, Unavailable
from endcap_client.failures import error_from, timeout_of
from endcap_client.http_codec import HEADER_LENGTH, decode_answer, encode_request
from endcap_client.operations import Answer, Operation
from endcap_client.transport import Target


class HttpTransport:
    """Keep-alive connections, one per call in flight; idle ones are used again, latest first."""

    def __init__(self, target: Target) -> None:
        self._url = target.url
        host, _, port = target.url.rpartition(":")
        self._host, self._port = host.strip("[]"), int(port)
        self._headers = dict(target.headers)
        # append() and pop() of a deque are atomic: no lock is needed.
        self._idle: deque[http.client.HTTPConnection] = deque()
        self._closed = False

    def infer(self, operation: Operation[Any], timeout: float) -> Answer:
        """See :class:`~endcap_client.transport.Transport`.

        The deadline holds for connecting and for each silence of the server, not for a trickle of bytes.
        """
        body, header_length = encode_request(operation)
        status, reason, answer, answer_header = self._exchange(
            "POST", f"/v2/models/{operation.model}/infer", body, {HEADER_LENGTH: str(header_length)}, timeout
        )
        if status != 200:
            raise error_from(str(status), _message(answer) or reason, url=self._url)
        return decode_answer(answer, answer_header).get

    def ready(self, model: str, timeout: float) -> bool:
        """See :class:`~endcap_client.transport.Transport`."""
        for path in ("/v2/health/ready", f"/v2/models/{model}/ready"):
            status, reason, answer, _ = self._exchange("GET", path, None, {}, timeout)
            if status in (401, 403):
                raise error_from(str(status), _message(answer) or reason, url=self._url)
            if status != 200:
                return False
        return True

    def close(self) -> None:
        """Close the idle connections; those in use are closed when their call ends."""
        self._closed = True
        while self._idle:
            self._idle.pop().close()

    def _exchange(
        self, method: str, path: str, body: bytes | None, headers: dict[str, str], timeout: float
    ) -> tuple[int, str, bytes, str | None]:
        ends = time.monotonic() + timeout
        while True:
            connection, used = self._connection()
            try:
                answer = self._send(connection, method, path, body, headers, ends)
            except TimeoutError:
                connection.close()
                raise timeout_of(self._url) from None
            except (ConnectionError, http.client.RemoteDisconnected) as error:
                connection.close()
                # A kept connection that the server closed while it was idle: every call may be repeated.
                if used:
                    continue
                raise Unavailable(f"{self._url}: {error}") from error
            except http.client.HTTPException as error:
                connection.close()
                raise IncompatibleServer(
                    f"{self._url}: no Triton over HTTP ({error!r}); is it the port of another protocol?"
                ) from error
            except OSError as error:
                connection.close()
                raise Unavailable(f"{self._url}: {error}") from error
            except BaseException:
                # Cancelled in the middle (gevent, signals): what is left in the socket belongs to nobody.
                connection.close()
                raise
            return answer

    def _connection(self) -> tuple[http.client.HTTPConnection, bool]:
        try:
            return self._idle.pop(), True
        except IndexError:
            return http.client.HTTPConnection(self._host, self._port), False

    def _send(
        self,
        connection: http.client.HTTPConnection,
        method: str,
        path: str,
        body: bytes | None,
        headers: dict[str, str],
        ends: float,
    ) -> tuple[int, str, bytes, str | None]:
        self._limit(connection, ends)
        connection.request(method, path, body, {**self._headers, **headers})
        self._limit(connection, ends)
        response = connection.getresponse()
        answer = response.read()
        if response.will_close or self._closed:
            connection.close()
        else:
            self._idle.append(connection)
        return response.status, response.reason, answer, response.headers.get(HEADER_LENGTH)

    def _limit(self, connection: http.client.HTTPConnection, ends: float) -> None:
        left = ends - time.monotonic()
        if left <= 0:
            raise TimeoutError
        connection.timeout = left
        if connection.sock is not None:
            connection.sock.settimeout(left)


def _message(body: bytes) -> str | None:
    """Triton's ``{"error": "…"}``, or the text as it is."""
    text = body.decode("utf-8", "replace")
    try:
        return str(json.loads(text)["error"])
    except (ValueError, KeyError, TypeError):
        return text.strip() or None
