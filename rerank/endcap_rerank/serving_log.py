"""The models' lines in Triton's log: JSON, and nothing of a shopper or of a query in them."""

from __future__ import annotations

import json
import logging
import re
import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from endcap_rerank.masking import masked

DEEPEST = 12
"""Most frames of an error that a line names, the innermost ones."""

_REQUEST_ID = re.compile(r"[A-Za-z0-9_.-]{1,64}\Z")


class ServingLog:
    """Writes one JSON object a line through Triton's logger.

    Fields of every line: ``event``, ``model``, ``version``, ``release``; of a request also ``request_id``. An
    error is named by its class and the places in the code that it passed: its message may quote the request.
    """

    def __init__(self, logger: Any, model: str, release: str, version: int) -> None:
        """
        Args:
            logger: Triton's ``pb_utils.Logger``: ``log_warn``, ``log_error``.
        """
        self._logger = logger
        self._common = {"model": model, "version": version, "release": release}
        # What the libraries of this process warn of (a store that is down) takes the same form.
        package = logging.getLogger("endcap_rerank")
        package.handlers = [_Forward(self)]
        package.propagate = False

    def slow(self, request_id: str, milliseconds: Mapping[str, float], **counts: object) -> None:
        """A request that took long: the time of its stages, and how much there was to do."""
        self._logger.log_warn(
            self._line("slow", request_id=shown_id(request_id), ms=dict(milliseconds), **counts)
        )

    def failed(self, request_id: str, code: str, error: BaseException) -> None:
        """A request that could not be answered."""
        self._logger.log_error(
            self._line("failed", request_id=shown_id(request_id), code=code, error=_names(error))
        )

    def warning(self, message: str) -> None:
        """Something that concerns no single request."""
        self._logger.log_warn(self._line("warning", message=masked(message)))

    def _line(self, event: str, **fields: object) -> str:
        return json.dumps({"event": event, **self._common, **fields}, ensure_ascii=True)


def shown_id(request_id: str) -> str:
    """The caller's id of a request where it is made of letters, digits and ``_.-``, at most 64; else nothing.

    Anything else could be a text that somebody put there, an address for one.
    """
    return request_id if _REQUEST_ID.match(request_id) else ""


def _names(error: BaseException) -> list[dict[str, object]]:
    """An error and what caused it, outermost last."""
    found: list[dict[str, object]] = []
    cause: BaseException | None = error
    while cause is not None and len(found) < DEEPEST:
        frames = traceback.extract_tb(cause.__traceback__)[-DEEPEST:]
        where = [f"{Path(frame.filename).name}:{frame.lineno} {frame.name}" for frame in frames]
        found.append({"class": type(cause).__name__, "where": where})
        cause = cause.__cause__ or (None if cause.__suppress_context__ else cause.__context__)
    return found[::-1]


class _Forward(logging.Handler):
    def __init__(self, log: ServingLog) -> None:
        super().__init__(logging.WARNING)
        self._log = log

    def emit(self, record: logging.LogRecord) -> None:
        self._log.warning(record.getMessage())
