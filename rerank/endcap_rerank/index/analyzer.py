"""From a text to the terms under which the lexical index files it; the same for products and queries."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple

import Stemmer

_CJK = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af\uf900-\ufaff\U00020000-\U0003134f"

_LETTER = rf"(?:(?![{_CJK}])[^\W\d_])"
_CHARACTER = rf"(?:(?![{_CJK}])[^\W_])"

_PIECE = re.compile(
    rf"(?P<cjk>[{_CJK}]+)"
    rf"|(?P<number>\d+(?:[.,/⁄]\d+)*)(?P<unit>x(?=\d)|{_LETTER}{{1,3}}(?!{_CHARACTER}))?"
    rf"|(?P<word>{_CHARACTER}+(?:['’](?={_LETTER}))?{_CHARACTER}*)"
)
_RUNS = re.compile(r"\d+|[^\W\d_]+")
_WORDS_CACHED = 65_536

_stemmer = Stemmer.Stemmer("english", 0)  # cached below, by term


class Piece(NamedTuple):
    """One run of a folded text.

    Attributes:
        text: as it stands in the text, case-folded.
        terms: under which it is filed, the first one standing for the whole of it.
        word: whether it is a word or a code of an alphabetic script, neither number nor CJK.
        end: where it ends in the folded text.
    """

    text: str
    terms: tuple[str, ...]
    word: bool
    end: int


def folded(text: str) -> str:
    """The form in which texts are compared: NFKC, then case folding; ``１８Ｖ`` is ``18v``."""
    return unicodedata.normalize("NFKC", text).casefold()


def analyze(text: str) -> list[str]:
    """The terms of ``text`` in order, repeated as often as they occur.

    - NFKC and case folding first, so ``１８Ｖ`` is ``18v``.
    - A number keeps its decimals and fractions (``1/2``, ``2.5``) and is parted from a unit written
      against it: ``18v`` gives ``18 v``, as ``18 V`` does. So do measures: ``2x4`` gives ``2 x 4``.
    - A word of letters is stemmed (Snowball English): ``drills`` and ``drill`` meet.
    - A code of letters and digits is kept whole and its parts are added: ``sc141`` gives
      ``sc141 sc 141``, so that ``SC-141`` finds it.
    - Chinese, Japanese and Korean runs give their characters and their pairs of neighbours.
    """
    return [term for piece in pieces(text) for term in piece.terms]


def pieces(text: str) -> Iterator[Piece]:
    """The runs of ``text`` in order, with the terms that :func:`analyze` makes of each."""
    for match in _PIECE.finditer(folded(text)):
        run, kind = match.group(), match.lastgroup
        terms: tuple[str, ...]
        if kind == "cjk":
            terms = (*run, *(run[at : at + 2] for at in range(len(run) - 1)))
        elif kind == "word":
            terms = _word_terms(run)
        else:
            terms = (match.group("number").replace("⁄", "/"),)
            if unit := match.group("unit"):
                terms = (*terms, _stem(unit))
        yield Piece(run, terms, kind == "word", match.end())


def _word_terms(word: str) -> tuple[str, ...]:
    if word.isalpha() or "'" in word or "’" in word:
        return (_stem(word),)
    return (word, *(part for part in _RUNS.findall(word) if len(part) > 1))


@lru_cache(maxsize=_WORDS_CACHED)
def _stem(word: str) -> str:
    return str(_stemmer.stemWord(word.replace("’", "'")))
