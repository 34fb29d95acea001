"""The option ``exposure``: shares of a list for brands, sellers and the like."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from endcap_rerank.errors import InvalidInputError
from endcap_rerank.option_values import json_object, number

MAX_SHARES = 16
"""Most shares of exposure that one request may name."""


@dataclass(frozen=True)
class ExposureShare:
    """At least ``min_share`` and at most ``max_share`` of a list for products of one brand, seller …

    Attributes:
        attribute: ``brand``, or the name of a product's attribute, such as ``seller``.
    """

    attribute: str
    value: str
    min_share: float = 0.0
    max_share: float = 1.0

    @property
    def name(self) -> str:
        """As in the options and in notes."""
        return f"{self.attribute}:{self.value}"


def read_exposure(path: str, value: object) -> tuple[ExposureShare, ...]:
    """Read the decoded option; what is guaranteed of one attribute may sum to 1.

    Raises:
        InvalidInputError: names the share by its path.
    """
    if not isinstance(value, Mapping) or len(value) > MAX_SHARES:
        raise InvalidInputError(path, value, f"an object of at most {MAX_SHARES} shares is expected")
    shares = tuple(_share(f"{path}.{name}", name, share) for name, share in value.items())
    guaranteed: dict[str, float] = {}
    for share in shares:
        total = guaranteed.get(share.attribute, 0.0) + share.min_share
        if total > 1.0 + 1e-9:
            expected = f"the shares of {share.attribute} that are guaranteed must sum to at most 1"
            raise InvalidInputError(f"{path}.{share.name}.min_share", share.min_share, expected)
        guaranteed[share.attribute] = total
    return shares


def _share(path: str, name: str, value: object) -> ExposureShare:
    attribute, mark, wanted = (part.strip() for part in name.partition(":"))
    if not (attribute and mark and wanted):
        raise InvalidInputError(path, value, 'a name such as "brand:Acme" or "seller:Contoso" is expected')
    read = json_object(path, value, dict.fromkeys(("min_share", "max_share")))
    if not read:
        raise InvalidInputError(path, value, "min_share, max_share or both are expected")
    least = number(f"{path}.min_share", read["min_share"], 0.0, 1.0) if "min_share" in read else 0.0
    most = number(f"{path}.max_share", read["max_share"], 0.0, 1.0) if "max_share" in read else 1.0
    if most <= 0.0:
        raise InvalidInputError(
            f"{path}.max_share", most, "a share above 0 is expected; filters leave out all"
        )
    if least > most:
        raise InvalidInputError(f"{path}.min_share", least, f"at most max_share, {most:g}, is expected")
    return ExposureShare(attribute, wanted, least, most)
