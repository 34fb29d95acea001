"""The words of one language, and how they are read from the tables beside this module."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class LeafWords:
    """How one leaf is called.

    Attributes:
        name: the category name, as in a path.
        titles: what product titles call it.
        others: what shoppers also call it; these never stand in a title.
        modifiers: properties some of its products have.
    """

    name: str
    titles: tuple[str, ...]
    others: tuple[str, ...]
    modifiers: tuple[str, ...]


@dataclass(frozen=True)
class Term:
    """A colour, material or occasion: the shop's word for it, and other words shoppers use."""

    name: str
    others: tuple[str, ...] = ()


@dataclass(frozen=True)
class Measure:
    """A size-like attribute: its name in ``attributes`` and its values, small to large."""

    name: str
    values: tuple[str, ...]


@dataclass(frozen=True)
class Labels:
    """The tag of each part of a query, and the attribute names of the catalogue."""

    brand: str
    product: str
    color: str
    material: str
    price: str
    attribute: str
    occasion: str


@dataclass(frozen=True)
class Language:
    """Everything the generator needs to write a shop in one language.

    Attributes:
        code: ``en`` or ``zh``.
        currency: ISO code.
        exchange: price of a US dollar in that currency.
        categories: names of departments and aisles by key.
        title_patterns: templates with the fields brand, series, noun, color, material, measure, modifier.
        price_patterns: templates with ``{low}`` and/or ``{high}``; a leading ``max:``, ``range:`` says which.
        filler: words around a query that carry no label.
        letters: whether a query's tokens are words parted by spaces (else single characters).
        attribute_names: names of colour, material, features, occasion in ``attributes``.
    """

    code: str
    currency: str
    exchange: float
    labels: Labels
    categories: Mapping[str, str]
    leaves: Mapping[str, LeafWords]
    colors: Mapping[str, Term]
    materials: Mapping[str, Term]
    occasions: Mapping[str, Term]
    measures: Mapping[str, Measure]
    brands: Sequence[str]
    series: Sequence[str]
    title_patterns: Sequence[str]
    descriptions: Sequence[str]
    price_patterns: Sequence[str]
    filler: Sequence[str]
    occasion_pattern: str
    letters: bool
    attribute_names: tuple[str, str, str, str]


def _list(cell: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in cell.split(",") if part.strip())


def read_leaves(table: str) -> dict[str, LeafWords]:
    """Read lines ``key | category name | title words | other words | modifiers``."""
    leaves = {}
    for line in table.strip().splitlines():
        key, name, titles, others, modifiers = (cell.strip() for cell in line.split("|"))
        leaves[key] = LeafWords(name, _list(titles), _list(others), _list(modifiers))
    return leaves


def read_terms(table: str) -> dict[str, Term]:
    """Read lines ``key | word | other words``."""
    terms = {}
    for line in table.strip().splitlines():
        key, name, others = (cell.strip() for cell in line.split("|"))
        terms[key] = Term(name, _list(others))
    return terms


def read_measures(table: str) -> dict[str, Measure]:
    """Read lines ``key | attribute name | values``."""
    measures = {}
    for line in table.strip().splitlines():
        key, name, values = (cell.strip() for cell in line.split("|"))
        measures[key] = Measure(name, _list(values))
    return measures
