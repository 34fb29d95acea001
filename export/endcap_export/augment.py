"""Queries as they might also have been typed: with a typo, in another case, in another order of words.

The four kinds of typo are those of Damerau, "A technique for computer detection and correction of
spelling errors" (1964): a letter too many, too few, wrong, or swapped with the next. Wrong and added
letters are neighbours on a QWERTY keyboard. Digits are left alone: a typo there asks for something else.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, TypeVar

import numpy as np
from endcap_rerank.tags import is_cjk

from endcap_export.bio import OUTSIDE, TaggedQuery

T = TypeVar("T")

_ROWS = ("qwertyuiop", "asdfghjkl", "zxcvbnm")
_SHORTEST = 3
"""Characters of a word, or of a run of Chinese, in which a typo can still be recognized."""
_ATTEMPTS = 20
_WORD = re.compile(r"[^\W\d_]+")


def _neighbours() -> dict[str, str]:
    near: dict[str, str] = {}
    for row, keys in enumerate(_ROWS):
        for column, key in enumerate(keys):
            beside = [(row, column - 1), (row, column + 1), (row - 1, column), (row - 1, column + 1),
                      (row + 1, column - 1), (row + 1, column)]  # fmt: skip
            near[key] = "".join(
                _ROWS[r][c] for r, c in beside if 0 <= r < len(_ROWS) and 0 <= c < len(_ROWS[r])
            )
    return near


NEIGHBOURS = _neighbours()
"""Letter → the letters beside it on a QWERTY keyboard."""


@dataclass(frozen=True)
class Augmentation:
    """How often a query is changed, each a share in [0, 1]; several changes may meet in one query.

    Attributes:
        typo: one typo.
        case: all letters small, all capital, or each word with a capital.
        order: a word, or in tagged queries a whole entity, moves elsewhere.
    """

    typo: float = 0.15
    case: float = 0.1
    order: float = 0.05


def augment(text: str, rng: np.random.Generator, how: Augmentation) -> str:
    """A query changed by chance, or as it was."""
    changes = rng.random(3) < (how.order, how.case, how.typo)
    for change, wanted in zip((move_word, change_case, one_typo), changes, strict=True):
        if wanted:
            text = change(text, rng)
    return text


def augment_tagged(query: TaggedQuery, rng: np.random.Generator, how: Augmentation) -> TaggedQuery:
    """A tagged query changed by chance, or as it was; every token keeps its own label."""
    order, case, typo = rng.random(3) < (how.order, how.case, how.typo)
    if order:
        query = move_entity(query, rng)
    if case:
        query = TaggedQuery(change_case(query.text, rng), query.starts, query.labels)
    return one_typo_tagged(query, rng) if typo else query


def one_typo(text: str, rng: np.random.Generator) -> str:
    """The text with one typo in a word of three letters or more; as it was where there is none.

    In runs of Chinese a character is left out or two change places.
    """
    edit = _draw(text, rng)
    return text if edit is None else text[: edit.start] + edit.new + text[edit.end :]


def one_typo_tagged(query: TaggedQuery, rng: np.random.Generator) -> TaggedQuery:
    """The query with one typo, labels still on their tokens.

    Tokens of one character change places only inside one span, and are left out only of spans of three
    and more or outside all spans. As it was where no such typo was found.
    """
    for _ in range(_ATTEMPTS):
        edit = _draw(query.text, rng)
        if edit is None:
            return query
        if (changed := _apply(query, edit)) is not None:
            return changed
    return query


def change_case(text: str, rng: np.random.Generator) -> str:
    """All small, all capital, or a capital at each word; the length stays."""
    kind = rng.integers(3)
    if kind == 0:
        return "".join(map(_lower, text))
    if kind == 1:
        return "".join(map(_upper, text))
    before = [" ", *text]
    return "".join(
        _upper(char) if last.isspace() else _lower(char) for last, char in zip(before, text, strict=False)
    )


def move_word(text: str, rng: np.random.Generator) -> str:
    """One word elsewhere; as it was with fewer than two, which is what unspaced Chinese has."""
    return " ".join(_moved(text.split(), rng)) if len(text.split()) > 1 else text


def move_entity(query: TaggedQuery, rng: np.random.Generator) -> TaggedQuery:
    """One entity, or what stands between two, elsewhere; what stands together stays together."""
    units: list[list[int]] = []
    for index, label in enumerate(query.labels):
        before = query.labels[index - 1] if index else ""
        if units and (label.startswith("I-") or label == before == OUTSIDE):
            units[-1].append(index)
        else:
            units.append([index])
    units = [unit for unit in units if any(_token(query, index).strip() for index in unit)]
    if len(units) < 2:
        return query
    text, starts, labels = "", [], []
    for unit in _moved(units, rng):
        first = query.starts[unit[0]]
        part = query.text[first : _end(query, unit[-1])]
        first += len(part) - len(part.lstrip())
        part = part.strip()
        if text and not is_cjk(text[-1]) and not is_cjk(part[0]):
            text += " "
        for index in unit:
            if first <= query.starts[index] < first + len(part):
                starts.append(len(text) + query.starts[index] - first)
                labels.append(query.labels[index])
        text += part
    return TaggedQuery(text, tuple(starts), tuple(labels))


class _Edit(NamedTuple):
    """``text[start:end]`` becomes ``new``."""

    start: int
    end: int
    new: str


def _draw(text: str, rng: np.random.Generator) -> _Edit | None:
    """A typo at a random character; None where the text has no word that is long enough."""
    places: list[tuple[int, int, bool]] = []  # position, end of its run, whether it is Chinese
    for match in _WORD.finditer(text):
        start = match.start()
        while start < match.end():
            chinese, end = is_cjk(text[start]), start
            while end < match.end() and is_cjk(text[end]) == chinese:
                end += 1
            if end - start >= _SHORTEST:
                places += [(position, end, chinese) for position in range(start, end)]
            start = end
    if not places:
        return None
    position, end, chinese = places[rng.integers(len(places))]
    char = text[position]
    near = NEIGHBOURS.get(char.lower(), "")
    following = text[position + 1] if position + 1 < end else ""
    swappable = following.lower() not in ("", char.lower())
    kinds = ["delete"] + ["transpose"] * swappable
    if not chinese:
        kinds += ["insert"] + ["replace"] * bool(near)
    kind = kinds[rng.integers(len(kinds))]
    if kind == "delete":
        return _Edit(position, position + 1, "")
    if kind == "transpose":
        return _Edit(position, position + 2, following + char)
    choices = near if kind == "replace" else near + char.lower()
    other = choices[rng.integers(len(choices))]
    other = other.upper() if char.isupper() else other
    return (
        _Edit(position, position + 1, other)
        if kind == "replace"
        else _Edit(position, position + 1, char + other)
    )


def _apply(query: TaggedQuery, edit: _Edit) -> TaggedQuery | None:
    """The edited query; None where labels would no longer be true."""
    labels = list(query.labels)
    touched = [
        index
        for index, start in enumerate(query.starts)
        if start < edit.end and _end(query, index) > edit.start
    ]
    if len(touched) > 1 and _span(labels, touched[0]) != _span(labels, touched[-1]):
        return None
    shift = len(edit.new) - (edit.end - edit.start)
    starts = [start + shift if start >= edit.end else start for start in query.starts]
    text = query.text[: edit.start] + edit.new + query.text[edit.end :]
    if not edit.new and touched and len(_token(query, touched[0]).strip()) == 1:
        gone = touched[0]
        span = _span(labels, gone)
        if span is not None and span[1] - span[0] < _SHORTEST:
            return None
        if labels[gone].startswith("B-"):
            labels[gone + 1] = labels[gone]
        del starts[gone], labels[gone]
    return TaggedQuery(text, tuple(starts), tuple(labels))


def _span(labels: Sequence[str], index: int) -> tuple[int, int] | None:
    """First and end of the entity around a token; None outside all."""
    if labels[index] == OUTSIDE:
        return None
    first = index
    while labels[first].startswith("I-"):
        first -= 1
    end = index + 1
    while end < len(labels) and labels[end].startswith("I-"):
        end += 1
    return first, end


def _end(query: TaggedQuery, index: int) -> int:
    return query.starts[index + 1] if index + 1 < len(query.starts) else len(query.text)


def _token(query: TaggedQuery, index: int) -> str:
    return query.text[query.starts[index] : _end(query, index)]


def _moved(parts: Sequence[T], rng: np.random.Generator) -> list[T]:
    """One of two or more parts at another place."""
    rest = list(parts)
    origin = int(rng.integers(len(rest)))
    part = rest.pop(origin)
    target = int(rng.integers(len(rest)))
    rest.insert(target + (target >= origin), part)
    return rest


def _lower(char: str) -> str:
    return char.lower() if len(char.lower()) == 1 else char


def _upper(char: str) -> str:
    return char.upper() if len(char.upper()) == 1 else char
