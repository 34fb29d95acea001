"""One fuzzed request, sent over gRPC, HTTP or through the SDK, and how the server took it."""

from __future__ import annotations

import http.client
import json
import random
import re
from collections.abc import Callable, Sequence
from typing import Any

import grpc
from endcap_client import Client, EndcapError, Event, ServerError, Timeout, Unavailable

from benchmarks.reliability import fuzz_values
from benchmarks.reliability.fuzz_tensors import Asked, asked
from benchmarks.reliability.stream import METHOD

SECONDS = 15.0
"""Without an answer for so long, a request hangs."""

_FINE = frozenset(
    {
        grpc.StatusCode.INVALID_ARGUMENT,
        grpc.StatusCode.NOT_FOUND,
        grpc.StatusCode.UNIMPLEMENTED,
        grpc.StatusCode.OUT_OF_RANGE,
        grpc.StatusCode.ALREADY_EXISTS,
        grpc.StatusCode.RESOURCE_EXHAUSTED,
        grpc.StatusCode.PERMISSION_DENIED,
    }
)
_FULL = "maximum queue size"
_UNREADABLE = re.compile(rb"failed to parse|[Uu]nable to parse|JSON|base64")
"""What Triton says, with status 500, of a body that it cannot read: an odd number, but a reason."""


class Caller:
    """One thread's connections; ``send`` returns what was wrong with an answer, or nothing.

    Wrong is: no answer, an error of the server's own (INTERNAL, 500) unless it says what it could not read, a
    refusal without a reason. What the SDK refuses itself has to be one of its errors, a TypeError or a
    ValueError, with a message.
    """

    def __init__(self, grpc_url: str, http_url: str, users: list[str], items: list[str]) -> None:
        self._channel = grpc.insecure_channel(grpc_url, options=[("grpc.max_receive_message_length", -1)])
        self._infer = self._channel.unary_unary(METHOD)
        host, _, port = http_url.rpartition(":")
        self._http = http.client.HTTPConnection(host, int(port), timeout=SECONDS)
        self._clients = [
            Client(grpc_url, "grpc", timeout=SECONDS, retries=0, breaker_failures=10**6),
            Client(http_url, "http", timeout=SECONDS, retries=0, breaker_failures=10**6),
        ]
        self._users = users
        self._items = items

    def send(self, kind: str, rng: random.Random) -> str:
        """Send one request of a kind of ``KINDS``."""
        return _WAYS[kind](self, rng)

    def close(self) -> None:
        """Close all connections."""
        self._channel.close()
        self._http.close()
        for client in self._clients:
            client.close()

    def _asked(self, rng: random.Random) -> Asked:
        return asked(rng, self._users, self._items)

    def _grpc(self, rng: random.Random) -> str:
        return self._over_grpc(self._asked(rng).proto(rng))

    def _grpc_bytes(self, rng: random.Random) -> str:
        return self._over_grpc(fuzz_values.mutated(rng, self._asked(rng).proto(rng)))

    def _over_grpc(self, request: bytes) -> str:
        try:
            self._infer(request, timeout=SECONDS)
        except grpc.RpcError as error:
            code, details = error.code(), error.details() or ""
            if code is grpc.StatusCode.UNAVAILABLE and _FULL in details:
                return ""
            # What is no protobuf message never reaches Triton: gRPC itself answers, with INTERNAL.
            if code is grpc.StatusCode.INTERNAL and "pars" in details.casefold():
                return ""
            if code not in _FINE:
                return f"gRPC {code.name}: {details}"
            if not details.strip():
                return f"gRPC {code.name} without a reason"
        return ""

    def _json(self, rng: random.Random) -> str:
        request = self._asked(rng)
        body = request.document()
        return self._over_http(request.model, fuzz_values.mutated(rng, body) if rng.random() < 0.3 else body)

    def _binary(self, rng: random.Random) -> str:
        request = self._asked(rng)
        body, head = request.binary()
        if rng.random() < 0.3:
            body = fuzz_values.mutated(rng, body)
        length = rng.choice((head, head, head, 0, len(body) + 1, -1, 10**18))
        return self._over_http(request.model, body, {"Inference-Header-Content-Length": str(length)})

    def _http_bytes(self, rng: random.Random) -> str:
        return self._over_http("search", fuzz_values.raw(rng))

    def _over_http(self, model: str, body: bytes, headers: dict[str, str] | None = None) -> str:
        path = f"/v2/models/{model if model.isascii() and model.isidentifier() else 'search'}/infer"
        try:
            self._http.request("POST", path, body, headers or {})
            response = self._http.getresponse()
            status, said = response.status, response.read()
        except (OSError, http.client.HTTPException) as error:
            self._http.close()
            return f"HTTP: {type(error).__name__}: {error}"
        if status == 503 and _FULL.encode() in said:
            return ""
        if status >= 500 and not _UNREADABLE.search(said):
            return f"HTTP {status}: {said[:200]!r}"
        if status >= 400 and not said.strip():
            return f"HTTP {status} without a reason"
        return ""

    def _sdk(self, rng: random.Random) -> str:
        shop = rng.choice(self._clients)
        try:
            self._sdk_call(shop, rng)
        except (ServerError, Timeout) as error:
            return f"SDK {type(error).__name__}: {error}"
        except Unavailable as error:
            return "" if _FULL in str(error) else f"SDK {type(error).__name__}: {error}"
        except (EndcapError, TypeError, ValueError) as error:
            return "" if str(error).strip() else f"SDK {type(error).__name__} without a reason"
        except Exception as error:  # whatever it is, the SDK should have refused
            return f"SDK raised {type(error).__name__}: {error}"
        return ""

    def _sdk_call(self, shop: Client, rng: random.Random) -> None:
        def pick(known: Sequence[Any]) -> Any:
            return (
                rng.choice(known)
                if rng.random() < 0.6
                else rng.choice((fuzz_values.text, fuzz_values.value))(rng)
            )

        kind = rng.randrange(5)
        options = json.loads(json.dumps(fuzz_values.value(rng), default=str))
        options = options if isinstance(options, dict) and rng.random() < 0.5 else {}
        limits = {"k": pick((1, 5, 10)), "diversity": pick((None, 0.0, 0.5, 1.0))}
        user = pick(self._users)
        if kind == 0:
            shop.search(pick(("red dress", "lamp")), user=user, **limits, **options)
        elif kind == 1:
            shop.search_many(pick((["red dress", "lamp"], [])), user=user, **limits)
        elif kind == 2:
            shop.recommend(user, pick(self._items), **limits, **options)
        elif kind == 3:
            event = Event(
                user, pick(self._items), pick(("click", "view")), pick((None, 1.7e9)), pick((None, "lamp"))
            )
            shop.feedback(event)
        else:
            shop.upsert({**fuzz_values.product(rng), "price": pick((9.5, None))})


_WAYS: dict[str, Callable[[Caller, random.Random], str]] = {
    "grpc": Caller._grpc,
    "grpc bytes": Caller._grpc_bytes,
    "http json": Caller._json,
    "http binary": Caller._binary,
    "http bytes": Caller._http_bytes,
    "sdk": Caller._sdk,
}
KINDS: tuple[str, ...] = tuple(_WAYS)
