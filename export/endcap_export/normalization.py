"""Characters that shoppers write in two ways, made one before a text is cut into pieces.

The map goes into ``tokenizer.json``, so that training, export and serving read the same, and serving
needs nothing beside it. Each character stands for exactly one, so that offsets keep pointing into the
text as it was typed.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Sequence
from importlib import resources, util

from endcap_rerank.errors import InvalidInputError
from tokenizers import Tokenizer, normalizers

from endcap_export.charsmap import charsmap

WIDTH = "width"
SIMPLIFIED = "simplified"


def parse_normalization(text: str) -> tuple[str, ...]:
    """Read ``width``, ``simplified`` or both with a comma between; nothing is no normalization.

    Raises:
        InvalidInputError: another word, or the table for ``simplified`` is not installed.
    """
    names = tuple(dict.fromkeys(name.strip() for name in text.split(",") if name.strip()))
    for name in names:
        if name not in _MAPS:
            raise InvalidInputError("normalize", name, f"{WIDTH}, {SIMPLIFIED} or both are expected")
    if SIMPLIFIED in names and util.find_spec("opencc") is None:
        raise InvalidInputError("normalize", SIMPLIFIED, "opencc-python-reimplemented must be installed")
    return names


def character_map(names: Sequence[str]) -> dict[str, str]:
    """Character → the one that stands for it, under ``width``, ``simplified`` or both."""
    joined: dict[str, str] = {}
    for name in names:
        step = _MAPS[name]()
        joined = {char: step.get(target, target) for char, target in joined.items()}
        joined = {**step, **joined}
    return joined


def normalize_with(tokenizer: Tokenizer, names: Sequence[str]) -> None:
    """Put the map before what the tokenizer does to texts already."""
    if names:
        first = normalizers.Precompiled(charsmap(character_map(names)))
        own = tokenizer.normalizer
        tokenizer.normalizer = first if own is None else normalizers.Sequence([first, own])


def _width() -> dict[str, str]:
    """Full-width forms to the usual ones, half-width kana to full ones: NFKC where it is one character."""
    found = {}
    for code in (0x3000, *range(0xFF01, 0xFFEF)):
        char = chr(code)
        if unicodedata.decomposition(char).startswith(("<wide>", "<narrow>")):
            usual = unicodedata.normalize("NFKC", char)
            if len(usual) == 1:
                found[char] = usual
    return found


def _simplified() -> dict[str, str]:
    """Traditional characters to simplified ones: of several, the first in OpenCC's table."""
    table = resources.files("opencc") / "dictionary" / "TSCharacters.txt"
    found = {}
    for line in table.read_text("utf-8").splitlines():
        traditional, _, simplified = line.partition("\t")
        first = simplified.split(" ")[0]
        if len(traditional) == len(first) == 1 and traditional != first:
            found[traditional] = first
    return found


_MAPS: dict[str, Callable[[], dict[str, str]]] = {WIDTH: _width, SIMPLIFIED: _simplified}
