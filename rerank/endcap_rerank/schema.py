"""Names, dtypes and shapes of every tensor that crosses a Triton model's edge.

The one place they are written down in Python: ``model_repository/*/config.pbtxt`` is held against
it by ``tests/test_schema.py``, the SDK and the backends read it.

Dims are those of ``config.pbtxt``: without the batch dimension, -1 where the size varies.
"""

from __future__ import annotations

from dataclasses import dataclass

MAX_QUERY_CHARS = 512
"""Longest query in characters; longer ones are refused before they are tokenized."""

MAX_K = 200
"""Most products one request may ask for."""

MAX_ID_CHARS = 256
"""Longest user or item id in characters."""

MAX_OPTIONS_BYTES = 16_384
"""Largest ``options`` document in UTF-8 bytes."""

DEFAULT_K = 10
DEFAULT_DIVERSITY = 0.3

EVENT_WEIGHTS: dict[str, float] = {
    "view": 0.3,
    "click": 1.0,
    "cart": 2.0,
    "wishlist": 1.5,
    "purchase": 4.0,
    "rating": 1.0,
    "remove": -1.0,
    "dislike": -3.0,
}
"""The events Endcap understands, with their default weight in a shopper's taste."""


@dataclass(frozen=True)
class TensorSpec:
    """One input or output of a Triton model.

    Attributes:
        name: tensor name.
        dtype: Triton's datatype as the protocol spells it (``BYTES``, ``INT64``, ``FP32`` …).
        dims: dims without the batch dimension; -1 varies.
        optional: whether a request may leave the input out.
    """

    name: str
    dtype: str
    dims: tuple[int, ...]
    optional: bool = False

    @property
    def config_type(self) -> str:
        """The datatype as ``config.pbtxt`` spells it (``TYPE_STRING``, ``TYPE_INT64`` …)."""
        return "TYPE_STRING" if self.dtype == "BYTES" else f"TYPE_{self.dtype}"


@dataclass(frozen=True)
class ModelSpec:
    """The edge of one Triton model."""

    name: str
    backend: str
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]


QUERY = TensorSpec("query", "BYTES", (1,))
INPUT_IDS = TensorSpec("input_ids", "INT64", (-1,))
ATTENTION_MASK = TensorSpec("attention_mask", "INT64", (-1,))
OFFSETS = TensorSpec("offsets", "INT32", (-1, 2))
"""Character span [start, end) of each word piece in the query; (0, 0) for special and padding pieces."""
TICKET = TensorSpec("ticket", "INT32", (1,), optional=True)
"""What `rerank` gives back when it is done with a row (``endcap_rerank.tickets``); -1 for none."""
QUERY_EMBEDDING = TensorSpec("query_embedding", "FP32", (-1,))
TAG_LOGITS = TensorSpec("tag_logits", "FP32", (-1, -1))

USER = TensorSpec("user", "BYTES", (1,), optional=True)
ITEM = TensorSpec("item", "BYTES", (1,), optional=True)
K = TensorSpec("k", "INT32", (1,), optional=True)
DIVERSITY = TensorSpec("diversity", "FP32", (1,), optional=True)
OPTIONS = TensorSpec("options", "BYTES", (1,), optional=True)

ITEM_ID = TensorSpec("item_id", "BYTES", (-1,))
"""Product ids, best first. Rows of a batch that found fewer are filled with empty strings."""
SCORE = TensorSpec("score", "FP32", (-1,))
"""The relevance-and-taste score of each product; NaN beside an empty id."""
EXPLANATION = TensorSpec("explanation", "BYTES", (-1,))
"""One JSON object a product when ``options.explain`` is true, else empty strings."""
PRODUCT = TensorSpec("product", "BYTES", (-1,))
"""One JSON object a product with the fields that ``options.fields`` names, else empty strings."""
QUERY_INFO = TensorSpec("query_info", "BYTES", (1,))
"""One JSON object a query: understood tags, applied constraints, release id, notes."""

RANKING_OUTPUTS = (ITEM_ID, SCORE, EXPLANATION, PRODUCT, QUERY_INFO)

TOKENIZE = ModelSpec("tokenize", "python", (QUERY,), (INPUT_IDS, ATTENTION_MASK, OFFSETS, TICKET))
ENCODE = ModelSpec("encode", "onnxruntime", (INPUT_IDS, ATTENTION_MASK), (QUERY_EMBEDDING, TAG_LOGITS))
RERANK = ModelSpec(
    "rerank",
    "python",
    (QUERY, QUERY_EMBEDDING, TAG_LOGITS, OFFSETS, TICKET, USER, K, DIVERSITY, OPTIONS),
    RANKING_OUTPUTS,
)
SEARCH = ModelSpec("search", "ensemble", (QUERY, USER, K, DIVERSITY, OPTIONS), RANKING_OUTPUTS)
RECOMMEND = ModelSpec("recommend", "python", (USER, ITEM, K, DIVERSITY, OPTIONS), RANKING_OUTPUTS)
FEEDBACK = ModelSpec(
    "feedback",
    "python",
    (
        TensorSpec("user", "BYTES", (1,)),
        TensorSpec("item", "BYTES", (1,)),
        TensorSpec("event", "BYTES", (1,)),
        TensorSpec("timestamp", "FP64", (1,), optional=True),
        TensorSpec("query", "BYTES", (1,), optional=True),
        TensorSpec("position", "INT32", (1,), optional=True),
        TensorSpec("event_id", "BYTES", (1,), optional=True),
        TensorSpec("release", "BYTES", (1,), optional=True),
    ),
    (TensorSpec("accepted", "INT32", (1,)),),
)
"""``timestamp`` is seconds since 1970 (UTC); left out, the server's clock is taken. ``release`` is what
``query_info`` of the answer names."""
CATALOG = ModelSpec(
    "catalog",
    "python",
    (TensorSpec("operation", "BYTES", (1,)), TensorSpec("document", "BYTES", (1,))),
    (TensorSpec("accepted", "INT32", (1,)),),
)
"""``operation`` is ``upsert`` (document: a product as JSON) or ``delete`` (document: ``{"id": …}``)."""

MODELS: dict[str, ModelSpec] = {
    spec.name: spec for spec in (TOKENIZE, ENCODE, RERANK, SEARCH, RECOMMEND, FEEDBACK, CATALOG)
}
