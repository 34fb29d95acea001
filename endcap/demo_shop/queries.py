"""What shoppers type, with the truth behind every word of it."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

import numpy as np

from endcap.demo_shop.catalogue import Article, Brand
from endcap.demo_shop.structure import LEAVES
from endcap.demo_shop.words import Language, Term

KINDS: dict[str, float] = {
    "type": 0.22,
    "brand": 0.03,
    "brand_type": 0.13,
    "color_type": 0.13,
    "material_type": 0.10,
    "price": 0.12,
    "attribute": 0.12,
    "occasion": 0.07,
    "several": 0.08,
}
"""Kinds of query and their share; ``typo`` variants come on top (``TYPO_SHARE``)."""

TYPO_SHARE = 0.12

_HOMOPHONES = dict(
    zip(
        "沙桌椅柜锅杯裙包耳机键标垫帐灯架霜水图绳床刀靴镜篷",
        "砂卓倚贵祸备群饱尔鸡健表店账登假双氺涂蝇庄刃薛境蓬",
        strict=True,
    )
)


@dataclass(frozen=True)
class Wants:
    """What a query asks for; fields left at their defaults are free.

    Attributes:
        leaf, brand: positions, -1 when free.
        measure: position in the leaf's measure values, -1 when free.
        low, high: price limits in the shop's currency, both included.
    """

    leaf: int = -1
    brand: int = -1
    color: str = ""
    material: str = ""
    modifier: str = ""
    measure: int = -1
    occasion: str = ""
    low: float = 0.0
    high: float = float("inf")


@dataclass(frozen=True)
class Query:
    """A query, its kind, and its tokens with BIO tags.

    Attributes:
        tokens: words (or characters, in Chinese); joined they give the text again.
    """

    text: str
    kind: str
    tokens: tuple[tuple[str, str], ...]
    wants: Wants


Segments = list[tuple[str, str]]
"""Pieces of a query with their label, empty where they carry none."""


def make_queries(
    language: Language, brands: list[Brand], articles: list[Article], count: int, rng: np.random.Generator
) -> list[Query]:
    """Draw up to ``count`` different queries, each answered by at least one product."""
    kinds, shares = list(KINDS), np.array(list(KINDS.values()))
    queries: dict[str, Query] = {}
    typos = round(count * TYPO_SHARE)
    for _ in range(count * 8):
        if len(queries) >= count - typos:
            break
        article = articles[int(rng.integers(len(articles)))]
        kind = kinds[int(rng.choice(len(kinds), p=shares / shares.sum()))]
        drawn = _draw(language, brands, article, kind, rng)
        if drawn is not None:
            query = _query(language, kind, *drawn)
            queries.setdefault(query.text, query)
    right = list(queries.values())
    for _ in range(typos * 8):
        if len(queries) >= len(right) + typos:
            break
        misspelt = with_typo(language, right[int(rng.integers(len(right)))], rng)
        if misspelt is not None:
            queries.setdefault(misspelt.text, misspelt)
    return list(queries.values())


def _draw(
    language: Language, brands: list[Brand], article: Article, kind: str, rng: np.random.Generator
) -> tuple[Segments, Wants] | None:
    """Segments and wants of a query of ``kind`` that ``article`` answers; None where it cannot be asked."""
    labels = language.labels
    shape = LEAVES[article.leaf]
    words = language.leaves[shape.key]
    # Half of the shoppers use a word that no title has: the part that training must learn.
    names = words.others if rng.random() < 0.5 else words.titles
    noun = _noun(language, names[int(rng.integers(len(names)))], rng)
    product: Segments = [(noun, labels.product)]
    brand: Segments = [(_lower(language, brands[article.brand].name), labels.brand)]
    wants = Wants(leaf=article.leaf)
    if kind == "brand":
        return brand, Wants(brand=article.brand)
    if kind == "type":
        filler = language.filler[int(rng.integers(len(language.filler)))]
        return ([(filler, ""), *product] if rng.random() < 0.2 else product), wants
    if kind == "brand_type":
        order = brand + product if rng.random() < 0.8 else product + brand
        return order, replace(wants, brand=article.brand)
    if kind == "color_type" and article.color:
        return [_term(language.colors[article.color], labels.color, rng), *product], replace(
            wants, color=article.color
        )
    if kind == "material_type" and article.material:
        material = _term(language.materials[article.material], labels.material, rng)
        return [material, *product], replace(wants, material=article.material)
    if kind == "price":
        price, low, high = _price_words(language, article.product.price, rng)
        return [*product, *price], replace(wants, low=low, high=high)
    if kind == "attribute":
        return _attribute(language, article, product, wants, rng)
    if kind == "occasion" and article.occasion:
        before, after = language.occasion_pattern.split("{occasion}")
        occasion = _term(language.occasions[article.occasion], labels.occasion, rng)
        use = [(before.strip(), ""), occasion, (after.strip(), "")]
        # Chinese names the use first ("露营用帐篷"), English last ("tent for camping").
        order = product + use if language.letters else use + product
        return order, replace(wants, occasion=article.occasion)
    if kind == "several" and article.color and article.material:
        color = _term(language.colors[article.color], labels.color, rng)
        material = _term(language.materials[article.material], labels.material, rng)
        wants = replace(wants, color=article.color, material=article.material)
        if rng.random() < 0.5:
            return [color, material, *product], wants
        price, low, high = _price_words(language, article.product.price, rng)
        return [color, material, *product, *price], replace(wants, low=low, high=high)
    return None


def _attribute(
    language: Language, article: Article, product: Segments, wants: Wants, rng: np.random.Generator
) -> tuple[Segments, Wants] | None:
    label = language.labels.attribute
    if article.measure >= 0 and (rng.random() < 0.5 or not article.modifiers):
        values = language.measures[LEAVES[article.leaf].measure].values
        size = _lower(language, values[article.measure])
        order = [(size, label), *product] if rng.random() < 0.6 else [*product, (size, label)]
        return order, replace(wants, measure=article.measure)
    if article.modifiers:
        modifier = article.modifiers[int(rng.integers(len(article.modifiers)))]
        return [(_lower(language, modifier), label), *product], replace(wants, modifier=modifier)
    return None


def _price_words(language: Language, price: float, rng: np.random.Generator) -> tuple[Segments, float, float]:
    pattern = language.price_patterns[int(rng.integers(len(language.price_patterns)))]
    form, template = pattern.split(":", 1)
    high = _round_up(price * float(rng.uniform(1.0, 1.6)))
    low = 0.0 if form == "max" else float(np.floor(high / 20.0) * 10.0)
    text = template.format(low=f"{low:g}", high=f"{high:g}")
    return [(text, language.labels.price)], low, high


def _round_up(price: float) -> float:
    """The next round price: steps of 5 below 50, of 10 below 200, of 50 below 1000, of 100 above."""
    step = 5.0 if price < 50 else 10.0 if price < 200 else 50.0 if price < 1000 else 100.0
    return float(np.ceil(price / step) * step)


def _term(term: Term, label: str, rng: np.random.Generator) -> tuple[str, str]:
    if term.others and rng.random() < 0.35:
        return term.others[int(rng.integers(len(term.others)))], label
    return term.name, label


def _noun(language: Language, noun: str, rng: np.random.Generator) -> str:
    noun = _lower(language, noun)
    if not language.letters or noun.endswith("s") or rng.random() < 0.7:
        return noun
    if re.search(r"(ch|sh|x)$", noun):
        return noun + "es"
    if re.search(r"[^aeiou]y$", noun):
        return noun[:-1] + "ies"
    return noun + "s"


def _lower(language: Language, text: str) -> str:
    return text.lower() if language.letters else text


def _query(language: Language, kind: str, segments: Segments, wants: Wants) -> Query:
    """Join segments to a text and cut it into tagged tokens."""
    tokens: list[tuple[str, str]] = []
    for text, label in segments:
        pieces = text.split() if language.letters else [piece for piece in text if not piece.isspace()]
        for position, piece in enumerate(pieces):
            tokens.append((piece, f"{'I' if position else 'B'}-{label}" if label else "O"))
    return Query(_join(language, tokens), kind, tuple(tokens), wants)


def _join(language: Language, tokens: list[tuple[str, str]]) -> str:
    return (" " if language.letters else "").join(token for token, _ in tokens)


def with_typo(language: Language, query: Query, rng: np.random.Generator) -> Query | None:
    """The query with one misspelt token; None where no token lends itself to it."""
    if language.letters:
        places = [i for i, (token, _) in enumerate(query.tokens) if len(token) >= 5 and token.isalpha()]
    else:
        places = [i for i, (token, _) in enumerate(query.tokens) if token in _HOMOPHONES]
    if not places:
        return None
    place = places[int(rng.integers(len(places)))]
    token, tag = query.tokens[place]
    wrong = _misspell(token, rng) if language.letters else _HOMOPHONES[token]
    tokens = [*query.tokens[:place], (wrong, tag), *query.tokens[place + 1 :]]
    return Query(_join(language, tokens), "typo", tuple(tokens), query.wants)


def _misspell(word: str, rng: np.random.Generator) -> str:
    """Swap two letters, drop, double or replace one; the first letter stays, as in most real typos."""
    at = int(rng.integers(1, len(word) - 1))
    form = int(rng.integers(4))
    if form == 0 and word[at] != word[at + 1]:
        return word[:at] + word[at + 1] + word[at] + word[at + 2 :]
    if form == 1:
        return word[:at] + word[at + 1 :]
    if form == 2:
        return word[:at] + word[at] + word[at:]
    other = chr(ord("a") + (ord(word[at]) - ord("a") + int(rng.integers(1, 26))) % 26)
    return word[:at] + other + word[at + 1 :]
