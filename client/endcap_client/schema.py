"""Names and dtypes of the tensors that the SDK sends and reads.

The SDK is installed without the server's packages, so it carries its own copy;
``tests/client/test_client_schema.py`` holds it against ``endcap_rerank.schema``.
"""

from __future__ import annotations

from typing import Final

SEARCH: Final = "search"
RECOMMEND: Final = "recommend"
FEEDBACK: Final = "feedback"
CATALOG: Final = "catalog"

INPUTS: Final[dict[str, dict[str, str]]] = {
    SEARCH: {"query": "BYTES", "user": "BYTES", "k": "INT32", "diversity": "FP32", "options": "BYTES"},
    RECOMMEND: {"user": "BYTES", "item": "BYTES", "k": "INT32", "diversity": "FP32", "options": "BYTES"},
    FEEDBACK: {
        "user": "BYTES",
        "item": "BYTES",
        "event": "BYTES",
        "timestamp": "FP64",
        "query": "BYTES",
        "position": "INT32",
        "event_id": "BYTES",
        "release": "BYTES",
    },
    CATALOG: {"operation": "BYTES", "document": "BYTES"},
}
"""Datatype of every input by model, as the protocol spells it."""

ITEM_ID: Final = "item_id"
SCORE: Final = "score"
EXPLANATION: Final = "explanation"
PRODUCT: Final = "product"
QUERY_INFO: Final = "query_info"
ACCEPTED: Final = "accepted"

RANKING_OUTPUTS: Final = {
    ITEM_ID: "BYTES",
    SCORE: "FP32",
    EXPLANATION: "BYTES",
    PRODUCT: "BYTES",
    QUERY_INFO: "BYTES",
}
"""Outputs of ``search`` and ``recommend``; the SDK asks only for those that a call needs."""

DEFAULT_K: Final = 10
MAX_BATCH: Final = {SEARCH: 32, RECOMMEND: 32, FEEDBACK: 256, CATALOG: 32}
"""Most rows the SDK puts into one request by model; longer lists are sent in several."""

READS: Final = frozenset({SEARCH, RECOMMEND})
"""Models that change nothing: a call may be sent twice at the same time."""
REPEATABLE: Final = frozenset({SEARCH, RECOMMEND, FEEDBACK})
"""Models whose calls may be sent again when nobody knows whether they ran. An event has an id and is stored
once. A product's last write wins, so that a late repetition could undo what somebody else wrote meanwhile."""
