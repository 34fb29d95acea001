"""Tensors of a request to Python values, ranked products to tensors. numpy only."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from endcap_rerank.errors import InvalidInputError
from endcap_rerank.events_store import Event
from endcap_rerank.product import Product
from endcap_rerank.requests import Ranked, RecommendRequest, SearchRequest

T = TypeVar("T")

Tensors = Mapping[str, npt.NDArray[Any]]
"""Tensors by name, each with its batch dimension."""


@contextmanager
def naming_row(row: int, rows: int) -> Iterator[None]:
    """Add the row to the field of an ``InvalidInputError`` raised within, where a request has several."""
    try:
        yield
    except InvalidInputError as error:
        if rows == 1 or "(row " in error.field:
            raise
        raise InvalidInputError(f"{error.field} (row {row})", error.value, error.expected) from None


def by_row(tensors: Tensors, read: Callable[[Tensors, int], T]) -> list[T]:
    """``read(tensors, row)`` for each row of the batch.

    Raises:
        InvalidInputError: a row cannot be used; the field and, with several rows, the row are named.
    """
    # Every input of `recommend` may be left out: that is one anonymous request.
    rows = next((array.shape[0] if array.ndim else 1 for array in tensors.values()), 1)
    values: list[T] = []
    for row in range(rows):
        with naming_row(row, rows):
            values.append(read(tensors, row))
    return values


def query_text(tensors: Tensors, row: int) -> str:
    """One row of ``tokenize``'s input; ``QueryTokenizer`` judges the text itself."""
    return text(tensors, "query", row) or ""


def search_request(tensors: Tensors, row: int) -> SearchRequest:
    """One row of ``rerank``'s inputs (``endcap_rerank.schema.RERANK``)."""
    return SearchRequest.validated(
        text(tensors, "query", row) or "",
        _encoded(tensors, "query_embedding")[row],
        _encoded(tensors, "tag_logits")[row],
        _encoded(tensors, "offsets")[row],
        user=text(tensors, "user", row),
        k=number(tensors, "k", row),
        diversity=number(tensors, "diversity", row),
        options=text(tensors, "options", row),
    )


def _encoded(tensors: Tensors, name: str) -> npt.NDArray[Any]:
    array = tensors.get(name)
    if array is None:
        # Triton's response cache does not look at which outputs were asked for, so an answer of `encode`
        # to a client that wanted one of them is what every later search for that text gets.
        expected = "`encode` answered without it; whoever calls `encode` must ask for all of its outputs"
        raise InvalidInputError(name, None, expected)
    return array


def recommend_request(tensors: Tensors, row: int) -> RecommendRequest:
    """One row of ``recommend``'s inputs (``endcap_rerank.schema.RECOMMEND``)."""
    return RecommendRequest.validated(
        user=text(tensors, "user", row),
        item=text(tensors, "item", row),
        k=number(tensors, "k", row),
        diversity=number(tensors, "diversity", row),
        options=text(tensors, "options", row),
    )


def text(tensors: Tensors, name: str, row: int) -> str | None:
    """One element of a BYTES tensor [B, 1] as text; None when the request left the tensor out.

    Raises:
        InvalidInputError: there is no such element, or its bytes are not UTF-8.
    """
    array = tensors.get(name)
    if array is None:
        return None
    value = _element(array, name, row)
    if isinstance(value, str):
        return value
    try:
        return bytes(value).decode("utf-8")
    except UnicodeDecodeError as error:
        raise InvalidInputError(name, bytes(value), f"UTF-8 text is expected ({error.reason})") from None


def number(tensors: Tensors, name: str, row: int) -> Any:
    """One element of a numeric tensor [B, 1] as a Python number; None when the request left it out."""
    array = tensors.get(name)
    return None if array is None else _element(array, name, row).item()


def _element(array: npt.NDArray[Any], name: str, row: int) -> Any:
    try:
        return array[row, 0]
    except IndexError:  # Triton hands on what has fewer elements than its shape says
        raise InvalidInputError(name, array.shape, "one element a row, [B, 1], is expected") from None


def event(tensors: Tensors, row: int) -> Event:
    """One row of ``feedback``'s inputs (``endcap_rerank.schema.FEEDBACK``)."""
    return Event.validated(
        text(tensors, "user", row) or "",
        text(tensors, "item", row) or "",
        text(tensors, "event", row) or "",
        number(tensors, "timestamp", row),
        query=text(tensors, "query", row),
        position=number(tensors, "position", row),
        event_id=text(tensors, "event_id", row),
        release=text(tensors, "release", row),
    )


def catalog_upsert(tensors: Tensors, row: int) -> Product:
    """The product in one row of ``catalog``'s ``document``.

    Raises:
        InvalidInputError: not a JSON object, or a field of it cannot be used (``document.price``).
    """
    document = _document(text(tensors, "document", row) or "")
    try:
        return Product.from_mapping(document)
    except InvalidInputError as error:
        raise InvalidInputError(f"document.{error.field}", error.value, error.expected) from None


def catalog_delete(tensors: Tensors, row: int) -> str:
    """The id in one row of ``catalog``'s ``document``.

    Raises:
        InvalidInputError: the document is not ``{"id": TEXT}``.
    """
    document = _document(text(tensors, "document", row) or "")
    if set(document) != {"id"} or not isinstance(document["id"], str) or not document["id"].strip():
        raise InvalidInputError("document", document, 'an object {"id": a non-empty text} is expected')
    return document["id"].strip()


def catalog_operation(tensors: Tensors) -> str:
    """``upsert`` or ``delete``: one for all rows, so that a request is one transaction.

    Raises:
        InvalidInputError: another operation, or several.
    """
    operations = set(by_row(tensors, lambda inputs, row: text(inputs, "operation", row) or ""))
    if operations not in ({"upsert"}, {"delete"}):
        expected = "`upsert` or `delete`, the same in all rows of a request, is expected"
        raise InvalidInputError("operation", ", ".join(sorted(operations)), expected)
    return operations.pop()


def _document(raw: str) -> dict[str, Any]:
    try:
        document = json.loads(raw, parse_constant=_refuse_constant)
        raw_again = json.dumps(document, ensure_ascii=False) if "\\u" in raw else ""
        raw_again.encode("utf-8")  # an escaped lone surrogate is JSON, but no text that could be stored
    except (ValueError, RecursionError) as error:
        raise InvalidInputError("document", raw, f"a JSON object is expected ({error})") from None
    if not isinstance(document, dict):
        raise InvalidInputError("document", raw, "a JSON object is expected")
    return document


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def ranking(answers: Sequence[Ranked], wanted: Collection[str]) -> dict[str, npt.NDArray[Any]]:
    """The answers of a batch's rows as output tensors.

    Rows shorter than the longest end with empty ids, explanations and products, and NaN scores.

    Args:
        answers: one for each of B rows.
        wanted: the output tensors that the request asked for; no other is made.
    """
    width = max((len(answer.item_ids) for answer in answers), default=0)
    shape = (len(answers), width)
    made: dict[str, npt.NDArray[Any]] = {}
    for name, attribute in (
        ("item_id", "item_ids"),
        ("explanation", "explanations"),
        ("product", "products"),
    ):
        if name in wanted:
            array = np.full(shape, b"", dtype=np.object_)
            for row, answer in enumerate(answers):
                values = getattr(answer, attribute)
                array[row, : len(values)] = [value.encode("utf-8") for value in values]
            made[name] = array
    if "score" in wanted:
        scores = np.full(shape, np.nan, dtype=np.float32)
        for row, answer in enumerate(answers):
            scores[row, : len(answer.scores)] = answer.scores
        made["score"] = scores
    if "query_info" in wanted:
        info = [[answer.query_info.encode("utf-8")] for answer in answers]
        made["query_info"] = np.array(info, dtype=np.object_).reshape(-1, 1)
    return made
