"""What a request asks and what it gets back, validated once at the edge."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from endcap_rerank.errors import InvalidInputError
from endcap_rerank.options import NO_OPTIONS, Options
from endcap_rerank.schema import DEFAULT_DIVERSITY, DEFAULT_K, MAX_ID_CHARS, MAX_K
from endcap_rerank.tokenizer import validate_query

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class SearchRequest:
    """One query, understood by the encoder, to be answered with products.

    Attributes:
        query: the raw text.
        embedding: float32 [D], L2-normalized.
        tag_logits: float32 [T, L]; [T, 0] where the release has no labels.
        offsets: int32 [T, 2] character spans of the word pieces in ``query``.
        user: shopper id; empty for an anonymous one.
        k: how many products, 1 to MAX_K.
        diversity: 0 relevance only, 1 the most diverse list.
    """

    query: str
    embedding: Floats = field(repr=False)
    tag_logits: Floats = field(repr=False)
    offsets: npt.NDArray[np.int32] = field(repr=False)
    user: str = ""
    k: int = DEFAULT_K
    diversity: float = DEFAULT_DIVERSITY
    options: Options = NO_OPTIONS

    @classmethod
    def validated(
        cls,
        query: str,
        embedding: Floats,
        tag_logits: Floats | None = None,
        offsets: npt.NDArray[np.int32] | None = None,
        *,
        user: str | None = None,
        k: int | None = None,
        diversity: float | None = None,
        options: Options | bytes | str | None = None,
    ) -> SearchRequest:
        """Check every field; None takes the default (anonymous, DEFAULT_K, DEFAULT_DIVERSITY, no options).

        Raises:
            InvalidInputError: names the field.
        """
        query = validate_query(query)
        embedding = np.asarray(embedding, dtype=np.float32)
        if embedding.ndim != 1 or not embedding.size:
            raise InvalidInputError("query_embedding", embedding.shape, "one vector [D] is expected")
        if not np.isfinite(embedding).all():
            raise InvalidInputError("query_embedding", embedding, "finite numbers are expected")
        offsets = np.zeros((0, 2), np.int32) if offsets is None else np.asarray(offsets, dtype=np.int32)
        if offsets.ndim != 2 or offsets.shape[1] != 2:
            raise InvalidInputError("offsets", offsets.shape, "spans [T, 2] are expected")
        if offsets.size and (offsets.min() < 0 or offsets.max() > len(query)):
            raise InvalidInputError(
                "offsets", offsets.tolist(), f"spans within 0 to {len(query)} are expected"
            )
        tag_logits = (
            np.zeros((len(offsets), 0), np.float32)
            if tag_logits is None
            else np.asarray(tag_logits, np.float32)
        )
        if tag_logits.ndim != 2 or len(tag_logits) != len(offsets):
            raise InvalidInputError(
                "tag_logits", tag_logits.shape, f"[{len(offsets)}, L] is expected, as offsets has"
            )
        return cls(
            query=query,
            embedding=embedding,
            tag_logits=tag_logits,
            offsets=offsets,
            user=valid_id("user", user),
            k=valid_k(k),
            diversity=valid_diversity(diversity),
            options=_options(options),
        )


@dataclass(frozen=True)
class RecommendRequest:
    """Products without a query: for a shopper, beside an item, or (neither given) what is popular."""

    user: str = ""
    item: str = ""
    k: int = DEFAULT_K
    diversity: float = DEFAULT_DIVERSITY
    options: Options = NO_OPTIONS

    @classmethod
    def validated(
        cls,
        *,
        user: str | None = None,
        item: str | None = None,
        k: int | None = None,
        diversity: float | None = None,
        options: Options | bytes | str | None = None,
    ) -> RecommendRequest:
        """Check every field; None takes the default.

        Raises:
            InvalidInputError: names the field.
        """
        return cls(
            user=valid_id("user", user),
            item=valid_id("item", item),
            k=valid_k(k),
            diversity=valid_diversity(diversity),
            options=_options(options),
        )


@dataclass(frozen=True)
class Ranked:
    """The answer: products best first; the three lists are as long as ``scores``.

    Attributes:
        explanations: one JSON object a product when ``options.explain``, else empty strings.
        products: one JSON object a product when ``options.fields``, else empty strings.
        query_info: one JSON object: release, tags, constraints, filters, personalized, candidates, notes.
    """

    item_ids: list[str]
    scores: Floats
    explanations: list[str]
    products: list[str]
    query_info: str


def valid_id(name: str, value: str | None, *, required: bool = False) -> str:
    """A user or item id; None and blank mean absent.

    Raises:
        InvalidInputError: not a text, too long, or absent although ``required``.
    """
    if value is None:
        value = ""
    if not isinstance(value, str):
        raise InvalidInputError(name, value, "a text is expected")
    if len(value) > MAX_ID_CHARS:
        raise InvalidInputError(name, value, f"at most {MAX_ID_CHARS} characters are allowed")
    value = value.strip()
    if required and not value:
        raise InvalidInputError(name, value, "a non-empty id is required")
    return value


def valid_k(value: int | None) -> int:
    """How many products: an integer from 1 to MAX_K.

    Raises:
        InvalidInputError: field ``k``.
    """
    if value is None:
        return DEFAULT_K
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or not 1 <= value <= MAX_K:
        raise InvalidInputError("k", value, f"an integer from 1 to {MAX_K} is expected")
    return int(value)


def valid_diversity(value: float | None) -> float:
    """A number from 0 to 1; NaN is refused.

    Raises:
        InvalidInputError: field ``diversity``.
    """
    if value is None:
        return DEFAULT_DIVERSITY
    expected = "a number from 0 (relevance only) to 1 (most diverse) is expected"
    if isinstance(value, bool) or not isinstance(value, (int, float, np.floating, np.integer)):
        raise InvalidInputError("diversity", value, expected)
    if math.isnan(value) or not 0.0 <= value <= 1.0:
        raise InvalidInputError("diversity", value, expected)
    return float(value)


def _options(options: Options | bytes | str | None) -> Options:
    return options if isinstance(options, Options) else Options.parse(options)
