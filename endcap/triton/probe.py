"""Cheap requests that tell whether the models of a running server answer."""

from __future__ import annotations

import http.client
import json
from collections.abc import Mapping, Sequence
from typing import Any

from endcap.triton.installation import TritonError

TEXT = "endcap"


class Probe:
    """Asks a server over HTTP.

    Args:
        url: ``host:port``.
        timeout: seconds without an answer after which a request has failed.
    """

    def __init__(self, url: str, *, timeout: float = 10.0) -> None:
        host, _, port = url.rpartition(":")
        self._address = host.strip("[]"), int(port)
        self._timeout = timeout

    def instances(self, model: str, version: int) -> int:
        """How many instances Triton says that it runs of a model's version; 0 where it is not served.

        Raises:
            TritonError: no answer.
        """
        status, body = self._ask("GET", f"/v2/models/{model}/versions/{version}/config")
        if not status:
            raise TritonError(f"{model}: no answer")
        if status != 200:
            return 0
        return sum(int(group.get("count", 1)) for group in json.loads(body).get("instance_group", ()))

    def answers(self) -> bool:
        """Whether `tokenize` and `rerank` answer in time: a refusal does, an error of Triton itself does not.

        `rerank` is asked for 0 products, which it refuses: no list shall be counted that nobody asked for.
        """
        return all(self._infer(model, inputs) for model, inputs in _QUESTIONS.items())

    def _infer(self, model: str, inputs: Sequence[Mapping[str, Any]]) -> bool:
        # 503: too much to do. 500 is what Triton says for a stub that is "not healthy".
        status, _ = self._ask("POST", f"/v2/models/{model}/infer", {"inputs": inputs})
        return status in (200, 400, 503)

    def _ask(self, method: str, path: str, document: Mapping[str, Any] | None = None) -> tuple[int, bytes]:
        """Status and body; status 0 without an answer."""
        connection = http.client.HTTPConnection(*self._address, timeout=self._timeout)
        try:
            connection.request(method, path, None if document is None else json.dumps(document))
            response = connection.getresponse()
            return response.status, response.read()
        except (OSError, http.client.HTTPException):
            return 0, b""
        finally:
            connection.close()


def _tensor(name: str, datatype: str, shape: Sequence[int], data: Sequence[object]) -> dict[str, Any]:
    return {"name": name, "datatype": datatype, "shape": shape, "data": data}


_QUERY = _tensor("query", "BYTES", (1, 1), (TEXT,))
_QUESTIONS: dict[str, list[dict[str, Any]]] = {
    "tokenize": [_QUERY],
    "rerank": [
        _QUERY,
        _tensor("query_embedding", "FP32", (1, 1), (1.0,)),
        _tensor("tag_logits", "FP32", (1, 1, 1), (0.0,)),
        _tensor("offsets", "INT32", (1, 1, 2), (0, 0)),
        _tensor("k", "INT32", (1, 1), (0,)),
    ],
}
