"""A release as it would be served, asked without Triton and without torch."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from endcap_rerank.errors import ReleaseError
from endcap_rerank.index import Index, LiveIndex
from endcap_rerank.release import Release
from endcap_rerank.tokenizer import QueryTokenizer

from endcap_export.alignment import token_labels
from endcap_export.bio import OUTSIDE, TaggedQuery
from endcap_export.encoder import OnnxEncoder, encode_texts

_BATCH = 16
_ROUNDS = 5

Span = tuple[str, int, int]


@dataclass(frozen=True)
class Served:
    """The parts of a release that decide how good and how fast it is.

    Attributes:
        precision: which of the release's encoders is served.
    """

    release: Release
    precision: str
    encoder: OnnxEncoder
    tokenizer: QueryTokenizer
    index: LiveIndex

    @classmethod
    def open(cls, release: Release, precision: str) -> Served:
        """Open a release on one thread, without the changes of its living catalogue.

        Raises:
            ReleaseError: it lacks a part, a part cannot be loaded, or the encoder has other labels.
        """
        encoder = OnnxEncoder(release.encoder(precision))
        if encoder.label_count != max(1, len(release.labels)):
            raise ReleaseError(
                f"{release.encoder(precision)}: tag_logits has {encoder.label_count} labels, "
                f"the manifest names {len(release.labels)}"
            )
        return cls(
            release,
            precision,
            encoder,
            QueryTokenizer(release),
            LiveIndex(Index.open(release.index)),
        )

    @property
    def types(self) -> frozenset[str]:
        """Entity types that it can find in a query."""
        return frozenset(label[2:] for label in self.release.labels if label != OUTSIDE)

    def entity_counts(self, queries: Sequence[TaggedQuery], types: frozenset[str]) -> npt.NDArray[np.int64]:
        """Found rightly, found, and there: entities of ``types`` in each query, [len(queries), 3]."""
        counts = np.zeros((len(queries), 3), np.int64)
        for start in range(0, len(queries), _BATCH):
            batch = queries[start : start + _BATCH]
            tokens = self.tokenizer.encode([query.text for query in batch])
            _, logits = self.encoder.encode(tokens.input_ids, tokens.attention_mask)
            names = self.release.labels or (OUTSIDE,)
            for row, query in enumerate(batch):
                labels = token_labels(query, tokens.offsets[row], logits[row], names)
                found, there = (
                    {span for span in entities(one) if span[0] in types} for one in (labels, query.labels)
                )
                counts[start + row] = len(found & there), len(found), len(there)
        return counts

    def embed_queries(self, queries: Sequence[str]) -> npt.NDArray[np.float32]:
        """Vectors of queries, [len(queries), D]."""
        return encode_texts(self.encoder, self.tokenizer.encode, queries, workers=1)

    def embed_products(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        """Vectors of product texts as its encoder makes them now, [len(texts), D]."""
        return encode_texts(self.encoder, self.tokenizer.encode_products, texts, workers=1)

    def text(self, item: str) -> str | None:
        """What the product tower read of a product of its catalogue; None for an unknown one."""
        row = self.index.row(item)
        return None if row is None else self.index.product(row).encoder_text()

    def product_vectors(self, texts: Mapping[str, str]) -> dict[str, npt.NDArray[np.float32]]:
        """Product id → vector: that of the index where it has the product with this text, else a new one."""
        indexed = [item for item, text in texts.items() if self.text(item) == text]
        rows = np.array([self.index.row(item) for item in indexed], np.int64)
        vectors = dict(zip(indexed, self.index.embeddings(rows), strict=True)) if indexed else {}
        fresh = [item for item in texts if item not in vectors]
        vectors.update(zip(fresh, self.embed_products([texts[item] for item in fresh]), strict=True))
        return vectors


def entities(labels: Sequence[str]) -> set[Span]:
    """Entities of a BIO sequence: type, first token, token after the last.

    Strict, as IOB2 has it: an entity opens with ``B-`` and goes on with ``I-`` of the same type; a stray
    ``I-`` is none.
    """
    spans = set()
    kind, begin = "", 0
    for position, label in enumerate([*labels, OUTSIDE]):
        if kind and label != f"I-{kind}":
            spans.add((kind, begin, position))
            kind = ""
        if label.startswith("B-"):
            kind, begin = label[2:], position
    return spans


def milliseconds(pair: Sequence[Served], queries: Sequence[str]) -> list[float]:
    """Milliseconds per query of each encoder, one query at a time on one thread.

    The two take turns, so that whatever else the machine does slows both; of five rounds the best of each
    query counts, and the median over the queries: some are interrupted in every round of a busy machine.
    """
    best = np.full((len(pair), len(queries)), np.inf)
    inputs = [[served.tokenizer.encode([query]) for query in queries] for served in pair]
    for turn in range(_ROUNDS + 1):
        for column in range(len(queries)):
            for row in range(len(pair)) if turn % 2 else reversed(range(len(pair))):
                tokens = inputs[row][column]
                started = time.perf_counter()
                pair[row].encoder.encode(tokens.input_ids, tokens.attention_mask)
                if turn:  # the first round warms up
                    best[row, column] = min(best[row, column], time.perf_counter() - started)
    return [float(1000 * np.median(row)) for row in best]
