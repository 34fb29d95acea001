"""Tagged queries: CoNLL/BIO text, one token a line, a blank line between queries."""

from __future__ import annotations

import re
from collections.abc import Container, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from endcap_rerank.schema import MAX_QUERY_CHARS
from endcap_rerank.tags import is_cjk

from endcap_export.rows import MAX_BAD_SHARE, BadRow, DataError, Loaded, refuse_above

OUTSIDE = "O"
_LABEL = re.compile(r"O|[BI]-\S+")


@dataclass(frozen=True)
class TaggedQuery:
    """A query with a label on each of its tokens.

    Attributes:
        text: the query as a shopper would type it.
        starts: where each token begins in ``text``.
        labels: a BIO label a token.
    """

    text: str
    starts: tuple[int, ...]
    labels: tuple[str, ...]


def read_tags(
    path: Path, *, labels: Container[str] | None = None, max_bad_share: float = MAX_BAD_SHARE
) -> Loaded[TaggedQuery]:
    """Read a BIO file: token, tab or spaces, label; ``#`` lines are comments.

    A line has two columns; the token of a tab-separated line may be a space.

    Tokens are joined with spaces; where the file has one character a line (Chinese), without. A query
    with one bad line is left out whole: half a query would teach a wrong end.

    Args:
        path: the file.
        labels: the labels that may occur; any when None.
        max_bad_share: share of bad queries above which the file is refused.

    Raises:
        DataError: no such file, not UTF-8, no queries, or too many bad ones.
    """
    if not path.is_file():
        raise DataError(f"{path}: no such file")
    try:
        lines = path.read_text("utf-8-sig").split("\n")
    except UnicodeDecodeError as error:
        line = path.read_bytes()[: error.start].count(b"\n") + 1
        raise DataError(f"{path}:{line}: not valid UTF-8") from None
    good: list[list[tuple[str, str]]] = []
    bad: list[BadRow] = []
    for block in _blocks(lines):
        query: list[tuple[str, str]] = []
        previous = OUTSIDE
        for line, content in block:
            token, label, reason = _split(content, previous, labels)
            if reason:
                bad.append(BadRow(path, line, reason))
                break
            query.append((token, label))
            previous = label
        else:
            if sum(len(token) for token, _ in query) + len(query) > MAX_QUERY_CHARS:
                reason = f"the query that begins here has more than {MAX_QUERY_CHARS} characters"
                bad.append(BadRow(path, block[0][0], reason))
            elif any(token.strip() for token, _ in query):
                good.append(query)
            else:
                bad.append(BadRow(path, block[0][0], "the query that begins here is blank"))
    separated = not _one_character_a_line(token for query in good for token, _ in query)
    return Loaded(
        tuple(_join(query, separated) for query in refuse_above(path, good, bad, max_bad_share)), tuple(bad)
    )


def label_set(queries: Iterable[TaggedQuery]) -> tuple[str, ...]:
    """Every label that can be needed, ``O`` first: for each type its ``B-`` and its ``I-``, sorted."""
    types = sorted({label[2:] for query in queries for label in query.labels if label != OUTSIDE})
    return (OUTSIDE, *(f"{mark}-{name}" for name in types for mark in "BI"))


def _blocks(lines: list[str]) -> Iterator[list[tuple[int, str]]]:
    block: list[tuple[int, str]] = []
    for number, raw in enumerate(lines, start=1):
        content = raw.rstrip("\r")
        if not content.strip():
            if block:
                yield block
            block = []
        elif not _is_comment(content):
            block.append((number, content))
    if block:
        yield block


def _is_comment(content: str) -> bool:
    """A line that begins with ``#``, unless it reads ``#10<tab>B-size``: then it is a token."""
    if not content.startswith("#"):
        return False
    token, tab, label = content.rpartition("\t")
    return not (tab and token and " " not in token and _LABEL.fullmatch(label.strip()))


def _split(content: str, previous: str, labels: Container[str] | None) -> tuple[str, str, str]:
    """Token, label and, when the line cannot be used, the reason."""
    columns = content.split("\t") if "\t" in content else content.split()
    if len(columns) != 2:
        count = f"{len(columns)} column" + "s" * (len(columns) > 1)
        return "", "", f"{count} in {content.strip()!r}; a token, a tab or space, and a label are expected"
    token, label = columns[0], columns[1].strip()
    if not token:
        return token, label, f"label {label!r} without a token; a token, a tab or space, and a label"
    if not _LABEL.fullmatch(label):
        return token, label, f"label {label!r}; O, B-TYPE or I-TYPE is expected"
    if labels is not None and label not in labels:
        return token, label, f"label {label!r} does not occur in the training data"
    if label.startswith("I-") and previous[2:] != label[2:]:
        return token, label, f"label {label!r} after {previous!r}; a span opens with B-{label[2:]}"
    return token, label, ""


def _one_character_a_line(tokens: Iterable[str]) -> bool:
    """Whether a file is split into characters: nearly all tokens are one, and some are Chinese."""
    total = single = chinese = 0
    for token in tokens:
        total += 1
        single += len(token) == 1
        chinese += is_cjk(token[0])
    return chinese > 0 and single > 0.9 * total


def _join(query: list[tuple[str, str]], separated: bool) -> TaggedQuery:
    text = ""
    starts = []
    for token, _ in query:
        # Between two Chinese tokens a shopper types no space.
        if separated and text and not (is_cjk(text[-1]) and is_cjk(token[0])):
            text += " "
        starts.append(len(text))
        text += token
    return TaggedQuery(text, tuple(starts), tuple(label for _, label in query))
