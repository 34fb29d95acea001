"""The options of a search or recommendation, and their JSON form."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, TypedDict

from endcap_client.errors import InvalidRequest


class Filters(TypedDict, total=False):
    """Which products may appear at all.

    ``brand`` and ``category`` take one value or several; a category includes everything below it.
    """

    price_min: float
    price_max: float
    brand: str | Sequence[str]
    category: str | Sequence[str]
    in_stock: bool
    attributes: Mapping[str, str | Sequence[str]]


class Options(TypedDict, total=False):
    """Keyword arguments that ``search``, ``search_many``, ``recommend`` and ``similar`` share.

    * ``filters``: see :class:`Filters`.
    * ``age``: of the shopper in years; without it products that have a ``min_age`` never appear.
    * ``pin``: product ids put first, in this order; ``bury``: put last; ``exclude``: never shown.
    * ``boost``: product id → factor on its score.
    * ``recent``: product ids the shopper looked at in this session, latest last.
    * ``refused``: product ids the shopper turned down in this session: left out, and what is like them sinks.
    * ``shown``: product ids already on the page, to be different from.
    * ``caps``: most products of one ``brand`` or ``category``: ``{"brand": 2}``, or in any stretch:
      ``{"brand": {"limit": 2, "window": 6}}``.
    * ``exposure``: shares of the list for a brand or for a value of an attribute:
      ``{"brand:Acme": {"max_share": 0.3}, "seller:Contoso": {"min_share": 0.2}}``.
    * ``algorithm``: ``"dpp"`` (default), ``"mmr"``, ``"msd"``, ``"ssd"`` or ``"xquad"``.
    * ``explore``: share of the places kept for new products.
    * ``calibrate``: from 0 to 1, how much the list's categories shall mix as the shopper's taste does.
    * ``adapt_diversity``: True gives specific queries less diversity.
    * ``fields``: product fields to return in ``Item.product``.
    * ``explain``: return the terms of each score in ``Item.explanation``.
    * ``language``: ``"en"`` or ``"zh"``, of explanations and notes.
    * ``personalize``, ``understand``: False switches taste, or the reading of tags, off.
    """

    filters: Filters
    age: int
    pin: Sequence[str]
    bury: Sequence[str]
    exclude: Sequence[str]
    boost: Mapping[str, float]
    recent: Sequence[str]
    refused: Sequence[str]
    shown: Sequence[str]
    caps: Mapping[str, int | Mapping[str, int]]
    exposure: Mapping[str, Mapping[str, float]]
    algorithm: str
    explore: float
    calibrate: float
    adapt_diversity: bool
    fields: Sequence[str]
    explain: bool
    language: str
    personalize: bool
    understand: bool


_NAMES = frozenset(Options.__annotations__)


def encode_options(options: Mapping[str, Any]) -> bytes | None:
    """The ``options`` document, or None when every option is left at the server's default.

    Raises:
        TypeError: a keyword that is no option, as for any misspelled argument.
        InvalidRequest: a value that JSON cannot carry.
    """
    if not options:
        return None
    for name in options:
        if name not in _NAMES:
            raise TypeError(f"unexpected keyword argument {name!r}; options are {', '.join(sorted(_NAMES))}")
    given = {name: value for name, value in options.items() if value is not None}
    if not given:
        return None
    # One value at a time, so that the error can name the option.
    parts = (f'"{name}":{_encode(name, value)}' for name, value in given.items())
    return f"{{{','.join(parts)}}}".encode()


def _encode(name: str, value: object) -> str:
    try:
        return json.dumps(value, ensure_ascii=True, allow_nan=False, default=_plain)
    except (TypeError, ValueError) as error:
        field = f"options.{name}"
        raise InvalidRequest(
            f"{field}: got {value!r:.80}; a JSON value is expected ({error})", field
        ) from None


def _plain(value: object) -> object:
    """Sets, tuples of ids, numpy scalars and arrays are welcome too."""
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, (set, frozenset)):
        return sorted(value)
    if isinstance(value, Sequence):
        return list(value)
    if hasattr(value, "tolist"):
        return value.tolist()
    raise TypeError(f"{type(value).__name__} has no JSON form")
