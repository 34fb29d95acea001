"""What a query asks the lexical index for: its own terms, and those that its words may stand for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from endcap_rerank.index.analyzer import Piece, analyze, pieces
from endcap_rerank.index.lexical import LexicalIndex
from endcap_rerank.index.spelling import SHORTEST, Spelling

ONE_MISTAKE = 0.9
TWO_MISTAKES = 0.7
"""Weight of a corrected word beside one that stands as it is."""
COMPLETED = 0.8
"""Weight of a completed last word."""
SPLIT = 0.9
"""Weight of each part of a word that was written without the blank."""

RARE = 3
"""Products up to which a word that is known may be misspelled, in the catalogue too."""
OUTWEIGHED = 30
"""How many times as much must speak for another word, for a rare one to be read as it as well."""

_SHORTEST_PREFIX = 2
_TRIED = 12
"""Words of each kind that are weighed against each other."""
_KEPT = 3
_LEAST_SHARE = 0.3
"""Words for which less speaks, beside the best, are left out."""
_SAMPLE = 2048
"""Products of a word at which the rest of the query is looked up."""


class Correction(NamedTuple):
    """A word of the query, and what it was read as, the likeliest first."""

    word: str
    read_as: tuple[str, ...]


@dataclass(frozen=True)
class Reading:
    """A query as the lexical index reads it.

    Attributes:
        terms: with their weights: 1 for each occurrence as written, less for what was guessed.
        scores: BM25 of every base row: float32 [N].
        corrections: the words that were read as others.
    """

    terms: dict[str, float]
    scores: NDArray[np.float32]
    corrections: tuple[Correction, ...] = ()


def read_query(
    query: str,
    lexical: LexicalIndex,
    known: Callable[[str], bool] = lambda term: False,
    *,
    tolerant: bool = True,
) -> Reading:
    """Read a query.

    A word that no product has is read as up to three words of the catalogue: those within distance 1 (2
    from LONG letters on), or two words that it joins, or, at the end of the query, those that it begins. So
    is a rare word beside which much more speaks for another one. What speaks for a word is in how many
    products it stands and how well these fit the rest of the query.

    Args:
        known: whether a changed product has a term; their words are words too.
        tolerant: whether words may be read as others.
    """
    terms: dict[str, float] = {}
    doubtful: list[tuple[Piece, bool, int]] = []
    run = list(pieces(query))
    spelling = lexical.spelling if tolerant else None
    for place, piece in enumerate(run):
        for term in piece.terms:
            terms[term] = terms.get(term, 0.0) + 1.0
        if spelling is not None and piece.word:
            frequency = lexical.frequency(piece.terms[0])
            last = place == len(run) - 1 and query[-1:].isalnum()
            if frequency <= RARE and not known(piece.terms[0]):
                doubtful.append((piece, last, frequency))
    scores = lexical.scores(terms)
    if spelling is None or not doubtful:
        return Reading(terms, scores)
    corrections = []
    guessed: dict[str, float] = {}
    for piece, last, frequency in doubtful:
        read_as = _read_as(piece, last, frequency, lexical, spelling, scores)
        if read_as:
            corrections.append(Correction(piece.text, tuple(word for word, _ in read_as)))
            for word, weight in read_as:
                for term in analyze(word):
                    if term not in terms:
                        guessed[term] = max(guessed.get(term, 0.0), weight)
    lexical.add(guessed, scores)
    return Reading({**terms, **guessed}, scores, tuple(corrections))


def _read_as(
    piece: Piece,
    last: bool,
    frequency: int,
    lexical: LexicalIndex,
    spelling: Spelling,
    context: NDArray[np.float32],
) -> list[tuple[str, float]]:
    """Words with their weights, the likeliest first."""
    word = piece.text
    candidates: list[tuple[str, float]] = []
    if word.isalpha():
        near = spelling.near(word)
        nearest = [one for one in near if one.distance == 1][:_TRIED]
        candidates += [(one.word, ONE_MISTAKE) for one in nearest]
        if not nearest:
            candidates += [(one.word, TWO_MISTAKES) for one in near[:_TRIED]]
    if last and len(word) >= _SHORTEST_PREFIX:
        candidates += [(one.word, COMPLETED) for one in spelling.beginning(word, _TRIED)]
    if not candidates and not frequency and len(word) >= SHORTEST:
        return _split(word, lexical)
    return _likeliest(word, frequency, candidates, lexical, context)


def _likeliest(
    word: str,
    frequency: int,
    candidates: Sequence[tuple[str, float]],
    lexical: LexicalIndex,
    context: NDArray[np.float32],
) -> list[tuple[str, float]]:
    own, impacts = lexical.postings(analyze(word)[0])
    floor = OUTWEIGHED * _evidence(context[own] - impacts) if frequency else 0.0
    weighed: dict[str, tuple[float, str, float]] = {}
    for candidate, weight in candidates:
        term = analyze(candidate)[0]
        rows = lexical.postings(term)[0]
        step = len(rows) // _SAMPLE + 1
        evidence = weight * step * _evidence(context[rows[::step]])
        if len(rows) and evidence > floor and (term not in weighed or evidence > weighed[term][0]):
            weighed[term] = (evidence, candidate, weight)
    if not weighed:
        return []
    order = sorted(weighed.items(), key=lambda one: (-one[1][0], one[0]))[:_KEPT]
    most, common = order[0][1][0], lexical.idf(order[0][0])
    read_as = []
    for term, (evidence, candidate, weight) in order:
        share = (evidence / most) ** 0.5
        if share >= _LEAST_SHARE:
            # A rare guess must not count for more than a likely one by its rarity.
            read_as.append((candidate, weight * share * min(1.0, common / lexical.idf(term))))
    return read_as


def _evidence(scores: NDArray[np.float32]) -> float:
    """Σ (1 + score²) over the products of a word, the score being that of the rest of the query."""
    return len(scores) + float(scores @ scores)


def _split(word: str, lexical: LexicalIndex) -> list[tuple[str, float]]:
    """The two words that ``word`` joins; the rarer one must be as frequent as can be."""
    most, parts = 0, ("", "")
    for at in range(3, len(word) - 2):
        first, second = word[:at], word[at:]
        frequency = min(lexical.frequency(analyze(part)[0]) for part in (first, second))
        if frequency > most:
            most, parts = frequency, (first, second)
    return [(part, SPLIT) for part in parts] if most else []
