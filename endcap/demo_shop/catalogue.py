"""The shop's products: structured truth first, then the text a shopper sees."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from endcap_rerank.product import CATEGORY_SEPARATOR, Product

from endcap.demo_shop.structure import DEPARTMENTS, LEAVES, MATERIAL_PRICE, MATERIALS, PALETTES, LeafShape
from endcap.demo_shop.words import Language

Array = npt.NDArray[Any]

NOW = 1_761_955_200.0
"""The shop's "today" unless another is given, 2025-11-01 UTC: fixed, so that a seed gives the same bytes."""

DAY = 86_400.0

TIER_PRICE = (0.6, 1.0, 1.9)
"""Price factor of a budget, a mid-priced and a premium brand."""


@dataclass(frozen=True)
class Brand:
    """An invented brand: where it is strong and what it costs.

    Attributes:
        strength: department key → share of that department's products, not normalized.
        tier: 0 budget, 1 mid-priced, 2 premium.
    """

    name: str
    tier: int
    strength: dict[str, float]


@dataclass(frozen=True)
class Article:
    """A product with the truth behind its text. Codes are positions in LEAVES, brands and word tables.

    Attributes:
        leaf: index into LEAVES.
        brand: index into the shop's brands.
        color, material, occasion: key, empty where it has none.
        measure: position in the measure's values, -1 where it has none.
        modifiers: words of the leaf's modifiers that are true of it.
        noun: which title word was used.
    """

    product: Product
    leaf: int
    brand: int
    color: str
    material: str
    measure: int
    modifiers: tuple[str, ...]
    occasion: str


def make_brands(language: Language, rng: np.random.Generator) -> list[Brand]:
    """Give every invented brand a price tier and one to three departments."""
    brands = []
    for position, name in enumerate(language.brands):
        home = DEPARTMENTS[position % len(DEPARTMENTS)]
        others = [d for d in DEPARTMENTS if d != home]
        extra = rng.choice(len(others), size=int(rng.integers(0, 3)), replace=False)
        strength = {home: float(rng.pareto(1.5) + 0.5)}
        strength |= {others[i]: float(0.3 * (rng.pareto(1.5) + 0.3)) for i in extra}
        brands.append(Brand(name, int(rng.choice(3, p=[0.35, 0.4, 0.25])), strength))
    return brands


def make_articles(
    language: Language, brands: list[Brand], count: int, rng: np.random.Generator, now: float = NOW
) -> list[Article]:
    """Draw ``count`` products; every leaf is present when ``count`` allows.

    Leaves differ in size by a log-normal, so some shelves are long and some short.
    """
    weights = rng.lognormal(0.0, 0.5, len(LEAVES))
    leaves = np.concatenate(
        [np.arange(len(LEAVES)), rng.choice(len(LEAVES), size=count, p=weights / weights.sum())]
    )[:count]
    rng.shuffle(leaves)
    share = {
        department: np.array([brand.strength.get(department, 0.0) for brand in brands])
        for department in DEPARTMENTS
    }
    return [
        _article(language, brands, share, int(leaf), f"P{100_000 + position}", now, rng)
        for position, leaf in enumerate(leaves)
    ]


def _article(
    language: Language,
    brands: list[Brand],
    share: dict[str, Array],
    leaf: int,
    item_id: str,
    now: float,
    rng: np.random.Generator,
) -> Article:
    shape = LEAVES[leaf]
    words = language.leaves[shape.key]
    weights = share[shape.department]
    brand = int(rng.choice(len(brands), p=weights / weights.sum()))
    palette, materials = PALETTES[shape.palette], MATERIALS[shape.materials]
    color = _pick(palette, rng, skew=0.8)
    material = _pick(materials, rng, skew=0.5)
    values = language.measures[shape.measure].values if shape.measure else ()
    measure = int(rng.integers(len(values))) if values else -1
    chosen = rng.choice(len(words.modifiers), size=int(rng.choice(3, p=[0.25, 0.5, 0.25])), replace=False)
    modifiers = tuple(words.modifiers[i] for i in sorted(chosen))
    occasion = _pick(shape.occasions, rng) if rng.random() < 0.45 else ""
    noun = _pick(words.titles, rng, skew=0.7)
    price = _price(language, shape, brands[brand].tier, material, measure, len(values), rng)
    product = _product(
        language,
        shape,
        brands[brand].name,
        item_id,
        noun,
        color,
        material,
        measure,
        modifiers,
        occasion,
        price,
        now,
        rng,
    )
    return Article(product, leaf, brand, color, material, measure, modifiers, occasion)


def _pick(choices: tuple[str, ...], rng: np.random.Generator, skew: float = 0.0) -> str:
    """One of the choices; with ``skew`` the first ones are likelier (weight 1 / rank^skew). Empty if none."""
    if not choices:
        return ""
    weights = 1.0 / np.arange(1, len(choices) + 1) ** skew
    return choices[int(rng.choice(len(choices), p=weights / weights.sum()))]


def _price(
    language: Language,
    shape: LeafShape,
    tier: int,
    material: str,
    measure: int,
    values: int,
    rng: np.random.Generator,
) -> float:
    price = shape.price * TIER_PRICE[tier] * MATERIAL_PRICE.get(material, 1.0) * rng.lognormal(0.0, 0.25)
    if measure >= 0 and shape.measure not in ("size", "shoe", "waist", "phone"):
        price *= 0.75 + 0.5 * measure / max(values - 1, 1)
    price = max(price * language.exchange, 2.0)
    if language.code == "zh":
        return float(max(round(price) - 0.1, 1.0)) if price < 100 else float(round(price))
    return round(math.floor(price) + float(rng.choice([0.99, 0.49, 0.95, 0.0], p=[0.6, 0.15, 0.15, 0.1])), 2)


def _product(
    language: Language,
    shape: LeafShape,
    brand: str,
    item_id: str,
    noun: str,
    color: str,
    material: str,
    measure: int,
    modifiers: tuple[str, ...],
    occasion: str,
    price: float,
    now: float,
    rng: np.random.Generator,
) -> Product:
    words = language.leaves[shape.key]
    size = language.measures[shape.measure].values[measure] if measure >= 0 else ""
    series = _pick(tuple(language.series), rng)
    facts = {
        "brand": brand,
        "series": series,
        "number": str(int(rng.integers(10, 99)) * 10),
        "noun": noun,
        "color": language.colors[color].name if color else "",
        "material": language.materials[material].name if material else "",
        "measure": size,
        "modifier": modifiers[0] if modifiers else "",
    }
    pattern = _pick(tuple(language.title_patterns), rng)
    title = tidy_title(pattern.format(**facts), capitals=language.letters)
    color_name, material_name, feature_name, occasion_name = language.attribute_names
    attributes = {color_name: facts["color"], material_name: facts["material"]}
    if size:
        attributes[language.measures[shape.measure].name] = size
    attributes[feature_name] = ", ".join(modifiers)
    attributes[occasion_name] = language.occasions[occasion].name if occasion else ""
    created = now - DAY * float(round(rng.exponential(400.0), 3))
    path = (language.categories[shape.department], language.categories[shape.aisle], words.name)
    return Product(
        id=item_id,
        title=title,
        brand=brand,
        category=CATEGORY_SEPARATOR.join(path),
        price=price,
        currency=language.currency,
        in_stock=bool(rng.random() < 0.93),
        rating=float(round(5.0 * rng.beta(12.0, 2.6), 1)),
        review_count=int(min(np.floor(3.0 * rng.pareto(0.9)), 50_000)),
        description=_description(language, facts, attributes, rng),
        attributes={name: value for name, value in attributes.items() if value},
        created_at=round(created),
    )


def _description(
    language: Language, facts: dict[str, str], attributes: dict[str, str], rng: np.random.Generator
) -> str:
    # Not every fact stands in the text: a shop's descriptions never are complete.
    told = [f"{name}: {value}" for name, value in attributes.items() if value and rng.random() < 0.7]
    sentence = ("; ".join(told) + ".").capitalize() if language.letters else "，".join(told) + "。"
    if not told:
        sentence = ""
    pattern = _pick(tuple(language.descriptions), rng)
    return re.sub(r"\s+", " ", pattern.format(facts=sentence, **facts)).strip()


def tidy_title(title: str, *, capitals: bool) -> str:
    """Remove what empty fields leave behind (double blanks, lone commas and brackets).

    >>> tidy_title("Varnholt   sofa - , 3-seat ()", capitals=True)
    'Varnholt Sofa - 3-seat'
    """
    title = re.sub(r"\(\s*\)", "", title)
    title = re.sub(r"\s+", " ", title)
    title = re.sub(r"(?:\s*,)+(?=\s*(?:,|\||$))", "", title)
    title = re.sub(r"-\s*,", "-", title)
    title = re.sub(r"\s+,", ",", title).strip(" ,-|")
    if not capitals:
        return title
    return " ".join(
        word[:1].upper() + word[1:] if word[:1].islower() and word != "by" else word
        for word in title.split(" ")
    )
