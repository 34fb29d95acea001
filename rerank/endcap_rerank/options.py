"""The ``options`` document of a request: one JSON object, strictly read.

An unknown or ill-typed option is an error that names it by its path (``options.filters.price_min``).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from endcap_rerank.errors import InvalidInputError
from endcap_rerank.exposure import ExposureShare, read_exposure
from endcap_rerank.filters import Filters
from endcap_rerank.option_values import boolean, count, json_object, no_repeats, number, one_of, texts
from endcap_rerank.product import MAX_AGE
from endcap_rerank.schema import MAX_K, MAX_OPTIONS_BYTES

ALGORITHMS = ("dpp", "mmr", "msd", "ssd", "xquad")
LANGUAGES = ("en", "zh")
CAP_NAMES = ("brand", "category", "top_category")
"""What a cap may count: the brand, the full category path, the root of the category path."""
FIELDS = (
    "id", "title", "brand", "category", "price", "currency", "in_stock", "rating", "review_count",
    "image_url", "description", "attributes", "created_at", "min_age",
)  # fmt: skip
"""The product fields that ``options.fields`` may name."""


@dataclass(frozen=True)
class WindowCap:
    """At most ``limit`` products of one value in any ``window`` consecutive ones."""

    limit: int
    window: int


@dataclass(frozen=True)
class Options:
    """What a caller may ask beyond query, user, k and diversity.

    Attributes:
        filters: hard conditions on the candidates; None for no condition.
        age: of the shopper in years, as the shop knows it; products for older ones never appear. None counts
            as 0.
        pin: item ids to show first, in this order, whatever they score; they obey filters and ``exclude``.
        bury: item ids to move below every other candidate.
        exclude: item ids never to show.
        boost: item id → factor of its relevance (2 doubles it, 0.5 halves it).
        recent: item ids that the shopper looked at in this session, latest last.
        refused: item ids that the shopper turned down in this session: left out, and what is like them sinks.
        shown: item ids already shown (page 1, another shelf); they are left out.
        caps: most products a ``brand``, ``category`` or ``top_category`` may take, of the list or of any
            stretch of it.
        exposure: shares of the list, and of every beginning of it, for brands or for values of an attribute.
        algorithm: one of ALGORITHMS, see :mod:`endcap_rerank.diversity`.
        explore: share of the places, from the top, kept for new products, in [0, 1].
        calibrate: how much the list's mix of categories shall be that of the shopper's taste, in [0, 1].
        adapt_diversity: whether a specific query gets less diversity than was asked for.
        fields: product fields to return in ``product``.
        explain: whether to return the terms of each score.
        language: of the explanation's sentence, ``en`` or ``zh``.
        personalize: false ranks as for an unknown shopper.
        understand: false keeps tags from matching, boosting and filtering.
    """

    filters: Filters | None = None
    age: int | None = None
    pin: tuple[str, ...] = ()
    bury: frozenset[str] = frozenset()
    exclude: frozenset[str] = frozenset()
    boost: Mapping[str, float] = field(default_factory=dict)
    recent: tuple[str, ...] = ()
    refused: tuple[str, ...] = ()
    shown: frozenset[str] = frozenset()
    caps: Mapping[str, int | WindowCap] = field(default_factory=dict)
    exposure: tuple[ExposureShare, ...] = ()
    algorithm: str = "dpp"
    explore: float = 0.0
    calibrate: float = 0.0
    adapt_diversity: bool = False
    fields: tuple[str, ...] = ()
    explain: bool = False
    language: str = "en"
    personalize: bool = True
    understand: bool = True

    @classmethod
    def parse(cls, document: bytes | str | None) -> Options:
        """Read the JSON document; None and blank give the defaults.

        Raises:
            InvalidInputError: not JSON, not an object, too large, an unknown option or a wrong value;
                ``field`` is the option's path.
        """
        if document is None or not document:
            return NO_OPTIONS
        if len(document) > MAX_OPTIONS_BYTES or (
            isinstance(document, str) and len(document.encode("utf-8", "surrogatepass")) > MAX_OPTIONS_BYTES
        ):
            raise InvalidInputError("options", document, f"at most {MAX_OPTIONS_BYTES} bytes are allowed")
        if not document.strip():
            return NO_OPTIONS
        try:
            read = json.loads(document, object_pairs_hook=no_repeats)
        except InvalidInputError:
            raise
        except (ValueError, RecursionError) as error:
            raise InvalidInputError("options", document, f"a JSON object is expected ({error})") from None
        return cls.from_mapping(read)

    @classmethod
    def from_mapping(cls, read: object) -> Options:
        """Read an already decoded document; errors as for :meth:`parse`."""
        values = json_object("options", read, _READERS)
        return cls(**{name: _READERS[name](f"options.{name}", value) for name, value in values.items()})


def _id_set(path: str, value: object) -> frozenset[str]:
    return frozenset(texts(path, value))


def _pins(path: str, value: object) -> tuple[str, ...]:
    pins = texts(path, value)
    if len(pins) > MAX_K:
        raise InvalidInputError(path, value, f"at most {MAX_K} ids are allowed")
    return pins


def _boosts(path: str, value: object) -> dict[str, float]:
    if not isinstance(value, Mapping):
        raise InvalidInputError(path, value, "an object of item ids to factors is expected")
    return {str(name): number(f"{path}.{name}", factor, 0.0, 100.0) for name, factor in value.items()}


def _caps(path: str, value: object) -> dict[str, int | WindowCap]:
    caps = json_object(path, value, dict.fromkeys(CAP_NAMES))
    return {name: _cap(f"{path}.{name}", cap) for name, cap in caps.items()}


def _cap(path: str, value: object) -> int | WindowCap:
    if not isinstance(value, Mapping):
        return count(path, value, 1)
    known = ("limit", "window")
    read = json_object(path, value, dict.fromkeys(known))
    for name in known:
        if name not in read:
            raise InvalidInputError(f"{path}.{name}", None, "it is missing and has no default")
    return WindowCap(count(f"{path}.limit", read["limit"], 1), count(f"{path}.window", read["window"], 2))


def _fields(path: str, value: object) -> tuple[str, ...]:
    fields = texts(path, value)
    for position, name in enumerate(fields):
        one_of(f"{path}[{position}]", name, FIELDS)
    return fields


def _attributes(path: str, value: object) -> dict[str, tuple[str, ...]]:
    if not isinstance(value, Mapping):
        raise InvalidInputError(path, value, "an object of attribute names to allowed values is expected")
    return {str(name): texts(f"{path}.{name}", allowed) for name, allowed in value.items()}


def _filters(path: str, value: object) -> Filters | None:
    known = ("price_min", "price_max", "brand", "category", "in_stock", "attributes")
    read = json_object(path, value, dict.fromkeys(known))
    if not read:
        return None
    price_min = number(f"{path}.price_min", read["price_min"], 0.0) if "price_min" in read else None
    price_max = number(f"{path}.price_max", read["price_max"], 0.0) if "price_max" in read else None
    if price_min is not None and price_max is not None and price_min > price_max:
        raise InvalidInputError(
            f"{path}.price_min", price_min, f"at most price_max, {price_max:g}, is expected"
        )
    return Filters(
        price_min=price_min,
        price_max=price_max,
        brands=texts(f"{path}.brand", read["brand"]) if "brand" in read else (),
        categories=texts(f"{path}.category", read["category"]) if "category" in read else (),
        in_stock=boolean(f"{path}.in_stock", read["in_stock"]) if "in_stock" in read else False,
        attributes=_attributes(f"{path}.attributes", read["attributes"]) if "attributes" in read else {},
    )


_READERS: dict[str, Any] = {
    "filters": _filters,
    "age": lambda path, value: count(path, value, 0, MAX_AGE),
    "pin": _pins,
    "bury": _id_set,
    "exclude": _id_set,
    "boost": _boosts,
    "recent": texts,
    "refused": texts,
    "shown": _id_set,
    "caps": _caps,
    "exposure": read_exposure,
    "algorithm": lambda path, value: one_of(path, value, ALGORITHMS),
    "explore": lambda path, value: number(path, value, 0.0, 1.0),
    "calibrate": lambda path, value: number(path, value, 0.0, 1.0),
    "adapt_diversity": boolean,
    "fields": _fields,
    "explain": boolean,
    "language": lambda path, value: one_of(path, value, LANGUAGES),
    "personalize": boolean,
    "understand": boolean,
}

NO_OPTIONS = Options()
