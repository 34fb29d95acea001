"""Each method of the clients as a request and a way to read its answer, whatever the transport."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import numpy as np

from endcap_client import schema
from endcap_client.errors import IncompatibleServer, InvalidRequest
from endcap_client.events import Event
from endcap_client.inputs import Array, check_text, integer, number, objects, release_id, texts
from endcap_client.options import encode_options
from endcap_client.results import Item, SearchResult

T = TypeVar("T")
Answer = Callable[[str], Array | None]
"""The output tensors of an answer by name."""

_BASIC = (schema.ITEM_ID, schema.SCORE, schema.QUERY_INFO)
_ACCEPTED = (schema.ACCEPTED,)


@dataclass(frozen=True, slots=True)
class Operation(Generic[T]):
    """One inference request.

    Attributes:
        model: name of the Triton model.
        inputs: (name, datatype, values) each; strings as UTF-8 bytes in object arrays, batch first.
        outputs: names of the outputs to ask for.
        read: makes the result from the answer and the seconds it took.
        release: of the release served beside the current one that shall answer; empty for the current one.
    """

    model: str
    inputs: list[tuple[str, str, Array]]
    outputs: tuple[str, ...]
    read: Callable[[Answer, float], T]
    release: str = ""

    @property
    def target(self) -> str:
        """Name of the Triton model that is asked; `endcap beside` serves a release as MODEL-RELEASE."""
        return f"{self.model}-{self.release}" if self.release else self.model

    @property
    def repeatable(self) -> bool:
        """Whether it may be sent again when nobody knows whether it ran."""
        return self.model in schema.REPEATABLE

    @property
    def hedgeable(self) -> bool:
        """Whether it may run twice at the same time."""
        return self.model in schema.READS


def search(
    queries: Sequence[str],
    user: str | Sequence[str | None] | None,
    k: int,
    diversity: float | None,
    options: Mapping[str, Any],
    release: str | None = None,
) -> Operation[list[SearchResult]]:
    """One batch request of B = ``len(queries)`` rows; options hold for all rows."""
    inputs = [("query", "BYTES", texts("query", queries))]
    return _ranking(schema.SEARCH, inputs, len(queries), user, k, diversity, options, release)


def search_many(
    queries: Sequence[str],
    user: str | Sequence[str | None] | None,
    k: int,
    diversity: float | None,
    options: Mapping[str, Any],
    release: str | None = None,
) -> list[Operation[list[SearchResult]]]:
    """:func:`search` in as many requests as the batch limit asks for."""
    if isinstance(queries, str):
        raise TypeError("queries: a list of str is expected, got one str")
    users = user
    if user is not None and not isinstance(user, str):
        users = list(user)
        if len(users) != len(queries):
            raise InvalidRequest(
                f"user: got {len(users)} for {len(queries)} queries; one each is expected", "user"
            )
    step = schema.MAX_BATCH[schema.SEARCH]
    return [
        search(
            queries[start : start + step],
            users if users is None or isinstance(users, str) else users[start : start + step],
            k,
            diversity,
            options,
            release,
        )
        for start in range(0, len(queries), step)
    ]


def recommend(
    user: str | None,
    item: str | None,
    k: int,
    diversity: float | None,
    options: Mapping[str, Any],
    release: str | None = None,
) -> Operation[list[SearchResult]]:
    """A request without a query."""
    inputs = [] if item is None else [("item", "BYTES", texts("item", (item,)))]
    return _ranking(schema.RECOMMEND, inputs, 1, user, k, diversity, options, release)


def feedback(events: Event | Mapping[str, Any] | Iterable[Event | Mapping[str, Any]]) -> list[Operation[int]]:
    """Requests for the events: one for all that carry the same fields, in order."""
    if isinstance(events, (Event, Mapping)):
        events = (events,)
    groups: dict[tuple[bool, ...], list[Event]] = {}
    for each in events:
        event = Event.of(each)
        # A batch has an optional input for every row or for none.
        optional = (event.timestamp, event.query, event.position, event.release)
        shape = tuple(value is not None for value in optional)
        groups.setdefault(shape, []).append(event)
    return [_feedback(batch) for group in groups.values() for batch in _batches(group, schema.FEEDBACK)]


def upsert(products: Mapping[str, Any] | Iterable[Mapping[str, Any]]) -> list[Operation[int]]:
    """Requests that put products into the catalogue."""
    if isinstance(products, Mapping):
        products = (products,)
    return _catalog("upsert", [_document("product", product) for product in products])


def delete(ids: str | Iterable[str]) -> list[Operation[int]]:
    """Requests that take products out of the catalogue."""
    if isinstance(ids, str):
        ids = (ids,)
    documents = []
    for each in ids:
        check_text("id", each)
        documents.append(_document("id", {"id": each}))
    return _catalog("delete", documents)


def _ranking(
    model: str,
    inputs: list[tuple[str, str, Array]],
    rows: int,
    user: str | Sequence[str | None] | None,
    k: int,
    diversity: float | None,
    options: Mapping[str, Any],
    release: str | None,
) -> Operation[list[SearchResult]]:
    if user is not None:
        users: Sequence[object] = (user,) * rows
        if isinstance(user, (list, tuple)):
            # A row without a shopper in a batch with some is the empty id: not personalized.
            users = ["" if each is None else each for each in user]
        inputs.append(("user", "BYTES", texts("user", users)))
    inputs.append(("k", "INT32", np.full((rows, 1), integer("k", k), np.int32)))
    if diversity is not None:
        inputs.append(("diversity", "FP32", np.full((rows, 1), number("diversity", diversity), np.float32)))
    outputs: tuple[str, ...] = _BASIC
    document = encode_options(options)
    if document is not None:
        inputs.append(("options", "BYTES", objects([document] * rows)))
        if options.get("explain"):
            outputs = (*outputs, schema.EXPLANATION)
        if options.get("fields"):
            outputs = (*outputs, schema.PRODUCT)
    return Operation(model, inputs, outputs, _read_ranking, release_id(release))


def _read_ranking(answer: Answer, seconds: float) -> list[SearchResult]:
    ids = _output(answer, schema.ITEM_ID).tolist()
    scores = _output(answer, schema.SCORE).tolist()
    infos = _output(answer, schema.QUERY_INFO).tolist()
    # None where the output was not asked for.
    explanations = answer(schema.EXPLANATION)
    products = answer(schema.PRODUCT)
    results = []
    for row, (row_ids, row_scores) in enumerate(zip(ids, scores, strict=True)):
        # Rows that found fewer are filled with empty ids.
        if explanations is None and products is None:
            items = tuple(
                [Item(i.decode(), score) for i, score in zip(row_ids, row_scores, strict=True) if i]
            )
        else:
            items = tuple(
                Item(
                    identifier.decode(),
                    row_scores[column],
                    None if explanations is None else _parsed(explanations[row, column]),
                    None if products is None else _parsed(products[row, column]),
                )
                for column, identifier in enumerate(row_ids)
                if identifier
            )
        results.append(SearchResult(items, seconds, infos[row][0]))
    return results


def _read_accepted(answer: Answer, seconds: float) -> int:
    return int(_output(answer, schema.ACCEPTED).sum())


def _feedback(events: Sequence[Event]) -> Operation[int]:
    first = events[0]
    inputs = [
        ("user", "BYTES", texts("user", [event.user for event in events])),
        ("item", "BYTES", texts("item", [event.item for event in events])),
        ("event", "BYTES", texts("event", [event.event for event in events])),
        ("event_id", "BYTES", texts("event_id", [event.event_id for event in events])),
    ]
    if first.timestamp is not None:
        times = [number("timestamp", event.timestamp) for event in events]
        inputs.append(("timestamp", "FP64", np.array(times, np.float64).reshape(-1, 1)))
    if first.query is not None:
        inputs.append(("query", "BYTES", texts("query", [event.query for event in events])))
    if first.position is not None:
        places = [integer("position", event.position) for event in events]
        inputs.append(("position", "INT32", np.array(places, np.int32).reshape(-1, 1)))
    if first.release is not None:
        inputs.append(("release", "BYTES", texts("release", [event.release for event in events])))
    return Operation(schema.FEEDBACK, inputs, _ACCEPTED, _read_accepted)


def _catalog(operation: str, documents: Sequence[bytes]) -> list[Operation[int]]:
    return [
        Operation(
            schema.CATALOG,
            [
                ("operation", "BYTES", objects([operation.encode()] * len(batch))),
                ("document", "BYTES", objects(list(batch))),
            ],
            _ACCEPTED,
            _read_accepted,
        )
        for batch in _batches(documents, schema.CATALOG)
    ]


def _document(field: str, mapping: Mapping[str, Any]) -> bytes:
    if not isinstance(mapping, Mapping):
        raise TypeError(f"{field}: a mapping is expected, got {type(mapping).__name__}")
    try:
        return json.dumps(dict(mapping), ensure_ascii=True, allow_nan=False).encode()
    except (TypeError, ValueError) as error:
        raise InvalidRequest(
            f"{field}: got {mapping!r:.80}; JSON values are expected ({error})", field
        ) from None


def _output(answer: Answer, name: str) -> Array:
    array = answer(name)
    if array is None:
        raise IncompatibleServer(
            f"the answer has no output {name!r}; SDK and server are of different versions"
        )
    return array


def _parsed(document: bytes) -> Mapping[str, Any] | None:
    if not document:
        return None
    parsed: Mapping[str, Any] = json.loads(document)
    return parsed


def _batches(rows: Sequence[T], model: str) -> list[Sequence[T]]:
    step = schema.MAX_BATCH[model]
    return [rows[start : start + step] for start in range(0, len(rows), step)]
