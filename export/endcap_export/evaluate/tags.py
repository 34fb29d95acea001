"""Strict scores of tagged spans, and which labels are taken for which."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from endcap_rerank.tokenizer import QueryTokenizer

from endcap_export.alignment import token_labels
from endcap_export.bio import OUTSIDE, TaggedQuery
from endcap_export.evaluate.bootstrap import Doubles, Estimate, estimate, share_lost

if TYPE_CHECKING:
    from endcap_export.encoder import Encoder

Span = tuple[str, int, int]
"""Type, first token, token after the last."""

_BATCH = 32


@dataclass(frozen=True)
class TagRun:
    """The predictions for some tagged queries, held against their labels.

    Attributes:
        predicted: for each query a label a token.
        gold_spans, predicted_spans: of each query, by IOB2: a span opens with its B-.
    """

    queries: tuple[TaggedQuery, ...]
    predicted: tuple[tuple[str, ...], ...] = field(repr=False)
    gold_spans: tuple[frozenset[Span], ...] = field(repr=False)
    predicted_spans: tuple[frozenset[Span], ...] = field(repr=False)

    @classmethod
    def of(cls, queries: Sequence[TaggedQuery], predicted: Sequence[Sequence[str]]) -> TagRun:
        """Hold predictions, a label a token, against the queries' own labels."""
        return cls(
            tuple(queries),
            tuple(map(tuple, predicted)),
            _spans([query.labels for query in queries]),
            _spans(predicted),
        )

    @property
    def types(self) -> list[str]:
        """Entity types of the queries, the most frequent first, and after them those only predicted."""
        support = Counter(kind for spans in self.gold_spans for kind, _, _ in spans)
        wrong = {kind for spans in self.predicted_spans for kind, _, _ in spans} - set(support)
        return [kind for kind, _ in sorted(support.items(), key=lambda one: (-one[1], one[0]))] + sorted(
            wrong
        )

    def counts(self, kind: str | None = None) -> Doubles:
        """Correct, predicted and gold spans of each query, of one type or all: float64 [queries, 3]."""

        def of_kind(spans: frozenset[Span]) -> frozenset[Span]:
            return spans if kind is None else frozenset(span for span in spans if span[0] == kind)

        rows = [
            (len(of_kind(gold) & of_kind(mine)), len(of_kind(mine)), len(of_kind(gold)))
            for gold, mine in zip(self.gold_spans, self.predicted_spans, strict=True)
        ]
        return np.array(rows, np.float64).reshape(len(rows), 3)

    def confusion(self) -> tuple[list[str], npt.NDArray[np.int64]]:
        """How often a token of one type (row) was given another (column).

        Returns:
            The types, ``O`` last, and int64 [types, types].
        """
        names = [*self.types, OUTSIDE]
        place = {name: at for at, name in enumerate(names)}
        table = np.zeros((len(names), len(names)), np.int64)
        for query, labels in zip(self.queries, self.predicted, strict=True):
            for gold, mine in zip(query.labels, labels, strict=True):
                # A lone I- makes no span, but its token was given that type.
                row, column = (place.get(label[2:] or OUTSIDE) for label in (gold, mine))
                if row is not None and column is not None:
                    table[row, column] += 1
        return names, table

    def outcomes(self) -> dict[str, dict[str, int]]:
        """What became of the spans of each type.

        Returns:
            type → ``found``; ``wrong type`` (same ends); ``wrong ends`` (overlaps one of its type);
            ``missed``; ``spurious`` (predicted where no span of any type overlaps).
        """
        table: dict[str, dict[str, int]] = {
            kind: dict.fromkeys(("found", "wrong type", "wrong ends", "missed", "spurious"), 0)
            for kind in self.types
        }
        for gold, mine in zip(self.gold_spans, self.predicted_spans, strict=True):
            ends = {span[1:] for span in mine}
            for span in gold:
                if span in mine:
                    outcome = "found"
                elif span[1:] in ends:
                    outcome = "wrong type"
                elif any(other[0] == span[0] and _overlap(other, span) for other in mine):
                    outcome = "wrong ends"
                else:
                    outcome = "missed"
                table[span[0]][outcome] += 1
            for span in mine:
                if not any(_overlap(span, other) for other in gold):
                    table[span[0]]["spurious"] += 1
        return table


def f1(means: Doubles) -> Doubles:
    """F1 of mean counts [..., 3]: 2 · correct / (predicted + gold); 0 where there are none."""
    total = means[..., 1] + means[..., 2]
    return np.asarray(2 * means[..., 0] / np.where(total > 0, total, 1))


def precision(means: Doubles) -> Doubles:
    """Correct / predicted of mean counts [..., 3]."""
    return np.asarray(means[..., 0] / np.where(means[..., 1] > 0, means[..., 1], 1))


def recall(means: Doubles) -> Doubles:
    """Correct / gold of mean counts [..., 3]."""
    return np.asarray(means[..., 0] / np.where(means[..., 2] > 0, means[..., 2], 1))


def f1_loss(before: TagRun, after: TagRun, *, relative: bool = False) -> Estimate:
    """By how much F1 is less in ``after``, on the same queries; with ``relative`` as a share of it."""

    def lost(first: Doubles, second: Doubles) -> Doubles:
        return share_lost(f1(first), f1(second)) if relative else np.asarray(f1(first) - f1(second))

    return estimate(lost, before.counts(), after.counts())


def predict(
    encoder: Encoder, tokenizer: QueryTokenizer, labels: Sequence[str], queries: Sequence[TaggedQuery]
) -> TagRun:
    """The encoder's label for each token of each query."""
    predicted: list[list[str]] = []
    for start in range(0, len(queries), _BATCH):
        batch = queries[start : start + _BATCH]
        tokens = tokenizer.encode([query.text for query in batch])
        _, logits = encoder.encode(tokens.input_ids, tokens.attention_mask)
        predicted += [
            token_labels(query, tokens.offsets[row], logits[row], labels) for row, query in enumerate(batch)
        ]
    return TagRun.of(queries, predicted)


def by_dictionary(queries: Sequence[TaggedQuery], training: Sequence[TaggedQuery]) -> TagRun:
    """The rival without a model: each token its most frequent label in training, an unseen one ``O``."""
    seen: dict[str, Counter[str]] = defaultdict(Counter)
    for query in training:
        for token, label in zip(_tokens(query), query.labels, strict=True):
            seen[token.casefold()][label] += 1
    usual: Mapping[str, str] = {token: counts.most_common(1)[0][0] for token, counts in seen.items()}
    return TagRun.of(
        queries, [[usual.get(token.casefold(), OUTSIDE) for token in _tokens(query)] for query in queries]
    )


def by_chance(queries: Sequence[TaggedQuery], seed: int = 7) -> TagRun:
    """The weakest rival: labels drawn as often as each occurs in these queries."""
    generator = np.random.default_rng(seed)
    pool = [label for query in queries for label in query.labels]
    drawn = iter(generator.permutation(len(pool)).tolist())
    return TagRun.of(queries, [[pool[next(drawn)] for _ in query.labels] for query in queries])


def tag_scores(
    encoder: Encoder, tokenizer: QueryTokenizer, labels: Sequence[str], queries: Sequence[TaggedQuery]
) -> dict[str, float]:
    """Strict entity precision, recall and F1 (IOB2: type and both ends must agree), by seqeval."""
    means = predict(encoder, tokenizer, labels, queries).counts().mean(axis=0)
    return {
        "f1": round(float(f1(means)), 4),
        "precision": round(float(precision(means)), 4),
        "recall": round(float(recall(means)), 4),
        "queries": len(queries),
    }


def _tokens(query: TaggedQuery) -> list[str]:
    ends = [*query.starts[1:], len(query.text)]
    return [query.text[start:end].strip() for start, end in zip(query.starts, ends, strict=True)]


def _spans(sequences: Sequence[Sequence[str]]) -> tuple[frozenset[Span], ...]:
    from seqeval.scheme import IOB2, Entities

    found = Entities([list(labels) for labels in sequences], IOB2)
    return tuple(frozenset((one.tag, one.start, one.end) for one in entities) for entities in found.entities)


def _overlap(first: Span, second: Span) -> bool:
    return first[1] < second[2] and second[1] < first[2]
