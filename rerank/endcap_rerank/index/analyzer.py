"""From a text to the terms under which the lexical index files it; the same for products and queries."""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

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
    terms: list[str] = []
    folded = unicodedata.normalize("NFKC", text).casefold()
    for piece in _PIECE.finditer(folded):
        kind = piece.lastgroup
        if kind == "cjk":
            run = piece.group()
            terms.extend(run)
            terms.extend(run[at : at + 2] for at in range(len(run) - 1))
        elif kind == "word":
            terms.extend(_word_terms(piece.group()))
        else:
            terms.append(piece.group("number").replace("⁄", "/"))
            if unit := piece.group("unit"):
                terms.append(_stem(unit))
    return terms


def _word_terms(word: str) -> tuple[str, ...]:
    if word.isalpha() or "'" in word or "’" in word:
        return (_stem(word),)
    return (word, *(part for part in _RUNS.findall(word) if len(part) > 1))


@lru_cache(maxsize=_WORDS_CACHED)
def _stem(word: str) -> str:
    return str(_stemmer.stemWord(word.replace("’", "'")))
