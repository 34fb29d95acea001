"""Texts to word pieces, the same way at training, at export and in serving."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt
from tokenizers import Encoding, Tokenizer

from endcap_rerank.errors import InvalidInputError, ReleaseError
from endcap_rerank.release import TextSettings
from endcap_rerank.schema import MAX_QUERY_CHARS


@dataclass(frozen=True)
class Tokens:
    """Word pieces of B texts, padded to T pieces.

    Attributes:
        input_ids: int64 [B, T].
        attention_mask: int64 [B, T]; 0 on padding.
        offsets: int32 [B, T, 2]; the span [start, end) of each piece in characters of the text as it was
            given; (0, 0) for special pieces, the prefix and padding.
    """

    input_ids: npt.NDArray[np.int64]
    attention_mask: npt.NDArray[np.int64]
    offsets: npt.NDArray[np.int32]


class TokenizerSource(Protocol):
    """What a tokenizer is made of: a release, or at training what will become one."""

    @property
    def tokenizer(self) -> Path:
        """Path of ``tokenizer.json``."""

    @property
    def text(self) -> TextSettings:
        """Prefixes, lengths and padding."""


class QueryTokenizer:
    """The tokenizer of a release, with its prefixes, lengths and padding.

    A text longer than the release's length in pieces is cut; T is the longest of the batch rounded up to
    ``text.pad_multiple``, so that requests of similar length share a shape and can be batched by Triton.
    """

    def __init__(self, release: TokenizerSource) -> None:
        self._text = release.text
        try:
            self._document = release.tokenizer.read_text("utf-8")
            self._pad_id = _pad_id(Tokenizer.from_str(self._document))
            self._queries = self._cut_at(self._text.query_length)
        except Exception as error:  # `tokenizers` raises plain Exception
            raise ReleaseError(f"{release.tokenizer}: not a tokenizer ({error})") from error

    def encode(self, texts: Sequence[str]) -> Tokens:
        """Tokenize queries.

        Raises:
            InvalidInputError: a query is unusable (``validate_query``); with several, the row is named.
        """
        for row, text in enumerate(texts):
            try:
                validate_query(text)
            except InvalidInputError as error:
                if len(texts) == 1:
                    raise
                raise InvalidInputError(f"query (row {row})", error.value, error.expected) from None
        return self._encode(self._queries, self._text.query_prefix, texts)

    def encode_products(self, texts: Sequence[str]) -> Tokens:
        """Tokenize product texts (``Product.encoder_text``) with the product prefix and length."""
        return self._encode(self._products, self._text.product_prefix, texts)

    @cached_property
    def _products(self) -> Tokenizer:
        return self._cut_at(self._text.product_length)

    def _cut_at(self, length: int) -> Tokenizer:
        tokenizer = Tokenizer.from_str(self._document)
        tokenizer.enable_truncation(max_length=length)
        tokenizer.no_padding()
        return tokenizer

    def _encode(self, tokenizer: Tokenizer, prefix: str, texts: Sequence[str]) -> Tokens:
        encodings: list[Encoding] = tokenizer.encode_batch([prefix + text for text in texts])
        multiple = self._text.pad_multiple
        longest = max((len(encoding) for encoding in encodings), default=0)
        width = max(multiple, -(-longest // multiple) * multiple)
        input_ids = np.full((len(texts), width), self._pad_id, dtype=np.int64)
        attention_mask = np.zeros((len(texts), width), dtype=np.int64)
        offsets = np.zeros((len(texts), width, 2), dtype=np.int32)
        for row, encoding in enumerate(encodings):
            size = len(encoding)
            input_ids[row, :size] = encoding.ids
            attention_mask[row, :size] = encoding.attention_mask
            offsets[row, :size] = encoding.offsets
        if prefix:
            offsets -= len(prefix)
            # A first piece may begin at the space that ends the prefix; one that ends in it is prefix.
            np.maximum(offsets, 0, out=offsets)
        return Tokens(input_ids, attention_mask, offsets)


def validate_query(text: str) -> str:
    """Return the query unchanged if it can be searched for.

    Raises:
        InvalidInputError: it is blank, longer than ``MAX_QUERY_CHARS``, or not encodable as UTF-8 (a lone
            surrogate).
    """
    if len(text) > MAX_QUERY_CHARS:
        raise InvalidInputError("query", text, f"at most {MAX_QUERY_CHARS} characters are allowed")
    if not text or text.isspace():
        raise InvalidInputError("query", text, "a query with at least one visible character is expected")
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        raise InvalidInputError("query", text, "UTF-8 text is expected") from None
    return text


def _pad_id(tokenizer: Tokenizer) -> int:
    if tokenizer.padding:
        return int(tokenizer.padding["pad_id"])
    for piece in ("[PAD]", "<pad>"):
        if (found := tokenizer.token_to_id(piece)) is not None:
            return int(found)
    return 0
