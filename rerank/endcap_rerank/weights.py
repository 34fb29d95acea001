"""How much each term of a score counts: the defaults, and what a release has in their place."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from endcap_rerank.errors import InvalidInputError, ReleaseError

LEARNED = "learned"
"""Key of ``ranking.json`` under which a learned relevance lies; every other key is a weight."""


@dataclass(frozen=True)
class RankingWeights:
    """How much each term counts; a release's ``ranking.json`` may override any of them.

    Relevance lies in [0, 1] within a request and has weight 1 by default: the others say how much of it
    they can outweigh. The defaults of the personal ones were measured, see benchmarks/personal.py.

    Attributes:
        relevance: the fused score of retrieval.
        tags: share of the query's tags that the product satisfies.
        taste: likeness to what the shopper was drawn to, at full knowledge of the shopper.
        session: likeness to the items of this session.
        brand, category: how often the shopper chose the product's brand, category; see ``leaning``.
        price: how dear a brand it is of, against what the shopper chooses; see ``price_class``.
        affinity: chance that the product is taken next, by what shoppers took, in searches.
        together: the same beside an item, in recommendations.
        popularity: of the product, in [0, 1].
        rating: of the product, (stars - 3) / 2.
        out_of_stock: taken off a product that is not in stock.
        bought: taken off a product that the shopper bought already, in recommendations only.
        seen: taken off a product of the shopper's latest events, in recommendations for their taste only.
        specific: share of the personal terms that the most specific query silences.
        kernel_brand, kernel_category, kernel_price: how much of two products' likeness is their brand, their
            category, their price band within the category.
    """

    relevance: float = 1.0
    tags: float = 0.3
    taste: float = 0.05
    session: float = 0.35
    brand: float = 0.65
    category: float = 0.05
    price: float = 0.55
    affinity: float = 0.1
    together: float = 1.0
    popularity: float = 0.1
    rating: float = 0.03
    out_of_stock: float = 0.25
    bought: float = 0.6
    seen: float = 0.3
    specific: float = 0.5
    kernel_brand: float = 0.15
    kernel_category: float = 0.15
    kernel_price: float = 0.05

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0.0 <= value < math.inf:
                raise InvalidInputError(f"ranking.{field.name}", value, "a number of at least 0 is expected")
        if self.specific > 1.0:
            raise InvalidInputError("ranking.specific", self.specific, "at most 1 is expected")
        groups = self.kernel_brand + self.kernel_category + self.kernel_price
        if groups > 1.0:
            raise InvalidInputError(
                "ranking.kernel_brand + kernel_category + kernel_price", groups, "at most 1 is expected"
            )

    @classmethod
    def from_mapping(cls, values: Mapping[str, Any]) -> RankingWeights:
        """Defaults, overridden by ``values``.

        Raises:
            InvalidInputError: an unknown name or a value out of range.
        """
        known = [field.name for field in fields(cls)]
        for name, value in values.items():
            if name not in known:
                raise InvalidInputError(f"ranking.{name}", value, f"known names are {', '.join(known)}")
        return cls(**values)

    @classmethod
    def read(cls, file: Path) -> RankingWeights:
        """The weights of a release; the defaults where it has no such file.

        Raises:
            ReleaseError: the file cannot be used.
        """
        try:
            values = json.loads(file.read_text("utf-8"))
        except FileNotFoundError:
            return cls()
        except (OSError, ValueError) as error:
            raise ReleaseError(f"{file}: not a JSON document ({error})") from error
        if not isinstance(values, dict):
            raise ReleaseError(f"{file}: an object of weights is expected")
        values.pop(LEARNED, None)
        try:
            return cls.from_mapping(values)
        except InvalidInputError as error:
            raise ReleaseError(f"{file}: {error}") from error
