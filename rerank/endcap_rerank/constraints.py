"""What the tags of a query ask of a product: a brand, a kind of product, a colour, a price limit …"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from endcap_rerank.tags import Tag

BRAND, KIND, COLOR, MATERIAL, SIZE, MODEL, PRICE = (
    "brand", "product_type", "color", "material", "size", "model", "price",
)  # fmt: skip

LABELS: dict[str, str] = {
    # QueryNER
    "creator": BRAND,
    "core_product_type": KIND,
    "color": COLOR,
    "material": MATERIAL,
    "uom": SIZE,
    "quantity": SIZE,
    "product_name": MODEL,
    "product_number": MODEL,
    "price": PRICE,
    # Chinese shopping utterances
    "cp": KIND,
    "pp": BRAND,
    "xh": MODEL,
    "yl": MATERIAL,
    "gg": SIZE,
    # common spellings of a shop's own label set
    "brand": BRAND,
    "product": KIND,
    "product_type": KIND,
    "category": KIND,
    "colour": COLOR,
    "size": SIZE,
    "model": MODEL,
    "品牌": BRAND,
    "商品": KIND,
    "产品": KIND,
    "品类": KIND,
    "颜色": COLOR,
    "材质": MATERIAL,
    "材料": MATERIAL,
    "尺寸": SIZE,
    "规格": SIZE,
    "型号": MODEL,
    "价格": PRICE,
}
"""Label (case-insensitive) → kind of constraint. A label that is not here constrains by its words alone."""


@dataclass(frozen=True)
class PriceLimit:
    """A price range read from a query; None leaves that end open. In the catalogue's currency.

    Attributes:
        explicit: the text names a currency, so that it cannot be a length or a wattage.
    """

    low: float | None
    high: float | None
    explicit: bool
    text: str


@dataclass(frozen=True)
class Constraint:
    """One demand of a query.

    Attributes:
        kind: ``brand``, ``product_type``, ``color``, ``material``, ``size``, ``model``, or the label itself
            where the label is unknown.
        text: the words as typed.
        confidence: of the tag, in (0, 1].
    """

    kind: str
    text: str
    confidence: float


@dataclass(frozen=True)
class Constraints:
    """Everything that a query asks of a product."""

    terms: tuple[Constraint, ...] = ()
    price: PriceLimit | None = None

    @classmethod
    def read(cls, query: str, tags: Iterable[Tag]) -> Constraints:
        """Collect the demands of ``query``.

        A price limit counts when it names a currency (``under $50``, ``200元以下``), or when the words
        carry a price tag (``under 50``): without either, a number may be a length or a wattage.
        """
        terms: list[tuple[Tag, Constraint]] = []
        spans: list[Tag] = []
        for tag in tags:
            kind = LABELS.get(tag.label.casefold(), tag.label)
            if kind == PRICE:
                spans.append(tag)
            elif tag.text:
                terms.append((tag, Constraint(kind, tag.text, tag.confidence)))
        price = read_price(query)
        if price is not None and not price.explicit and not _tagged(query, price, spans):
            price = None
        if price is not None:
            # Words that state the price are no demand of another kind, whatever their tag.
            start, end = _span(query, price)
            terms = [(tag, term) for tag, term in terms if tag.end <= start or tag.start >= end]
        return cls(tuple(term for _, term in terms), price)

    def as_mapping(self) -> dict[str, object]:
        """The demands as JSON-ready values: kind → texts, ``price_min``, ``price_max``."""
        found: dict[str, object] = {}
        for term in self.terms:
            values = found.setdefault(term.kind, [])
            if isinstance(values, list):
                values.append(term.text)
        if self.price is not None:
            if self.price.low is not None:
                found["price_min"] = self.price.low
            if self.price.high is not None:
                found["price_max"] = self.price.high
        return found


NO_CONSTRAINTS = Constraints()


def _tagged(query: str, price: PriceLimit, spans: Iterable[Tag]) -> bool:
    start, end = _span(query, price)
    return any(tag.start < end and tag.end > start for tag in spans)


def _span(query: str, price: PriceLimit) -> tuple[int, int]:
    start = query.find(price.text)
    return start, start + len(price.text)


_CHINESE_DIGITS = {char: value for value, char in enumerate("零一二三四五六七八九")} | {"两": 2, "〇": 0}
_CHINESE_UNITS = {"十": 10, "百": 100, "千": 1000, "万": 10_000}
_UNDER = (
    r"(?:under|below|less\s+than|cheaper\s+than|up\s+to|at\s+most|no\s+more\s+than|not\s+more\s+than|within"
    r"|max(?:imum)?|<=?)"
)
_OVER = r"(?:over|above|more\s+than|at\s+least|no\s+less\s+than|min(?:imum)?|starting\s+at|>=?)"


def _amount_pattern(name: str) -> str:
    # "pounds" is left out: in a shop it weighs more often than it costs.
    return (
        rf"(?P<{name}sign>[$€£¥￥]\s?)?"
        rf"(?P<{name}>(?:\d{{1,3}}(?:,\d{{3}})+(?:\.\d+)?|\d+(?:\.\d+)?)(?:\s?k\b)?)(?![\w.,]*\d)"
        rf"(?P<{name}unit>\s?(?:dollars?|bucks?|usd|euros?|eur|gbp|yuan|rmb|cny)\b)?"
    )


def _chinese_pattern(name: str) -> str:
    return (
        rf"(?P<{name}sign>[¥￥])?\s?"
        rf"(?P<{name}>\d+(?:\.\d+)?[百千万]?|[零〇一二两三四五六七八九十百千万]+)\s?"
        rf"(?P<{name}unit>元|块钱|块|人民币|圆)?"
    )


def _compiled(*patterns: str) -> tuple[re.Pattern[str], ...]:
    return tuple(re.compile(pattern, re.IGNORECASE) for pattern in patterns)


_A, _B, _ZH_A, _ZH_B = (
    _amount_pattern("a"),
    _amount_pattern("b"),
    _chinese_pattern("a"),
    _chinese_pattern("b"),
)
_BETWEEN = _compiled(
    rf"(?<![\w$.])(?:between\s+|from\s+)?{_A}\s*(?:-|–|—|~|to|and)\s*{_B}",
    rf"{_ZH_A}\s*(?:-|–|—|~|～|到|至)\s*{_ZH_B}",
)
_AT_MOST = _compiled(
    rf"(?<!\w){_UNDER}\s*{_A}",
    rf"(?<![\w.]){_A}\s*(?:or\s+less|or\s+under|and\s+under|or\s+below|and\s+below|max)\b",
    rf"(?:不超过|不高于|低于|少于|小于|最多)\s*{_ZH_A}",
    rf"{_ZH_A}\s*(?:以下|以内|之内|内|不到)",
)
_AT_LEAST = _compiled(
    rf"(?<!\w){_OVER}\s*{_A}",
    rf"(?<![\w.]){_A}\s*(?:or\s+more|and\s+up|or\s+above|and\s+above|\+)(?!\w)",
    rf"(?:不低于|不少于|高于|超过|大于|至少)\s*{_ZH_A}",
    rf"{_ZH_A}\s*(?:以上|起)",
)
_HAS_NUMBER = re.compile(r"\d|[一二两三四五六七八九十百千万]+\s?(?:元|块|以|到|至)")


def read_price(text: str) -> PriceLimit | None:
    """Read the price range or limit of a query, English or Chinese; one that names a currency goes first.

    ``under $50``, ``below 50``, ``50-100 dollars``, ``between $5 and $10``, ``$20 or less``,
    ``over 1,000 dollars``, ``200元以下``, ``不超过三百块``, ``100到200元``.

    Returns:
        The limit, or None. ``explicit`` tells whether a currency was named; a caller should not trust
        ``under 50`` alone.
    """
    if not _HAS_NUMBER.search(text):
        return None
    doubtful: PriceLimit | None = None
    for limit in _limits(text):
        if limit.explicit:
            return limit
        doubtful = doubtful or limit
    return doubtful


def _limits(text: str) -> Iterator[PriceLimit]:
    for pattern in _BETWEEN:
        for match in pattern.finditer(text):
            low, high = _amount(match["a"]), _amount(match["b"])
            if low < high:
                yield PriceLimit(low, high, _named(match, "a", "b"), match[0].strip())
    for pattern in _AT_MOST:
        for match in pattern.finditer(text):
            yield PriceLimit(None, _amount(match["a"]), _named(match, "a"), match[0].strip())
    for pattern in _AT_LEAST:
        for match in pattern.finditer(text):
            yield PriceLimit(_amount(match["a"]), None, _named(match, "a"), match[0].strip())


def _named(match: re.Match[str], *groups: str) -> bool:
    return any(match[f"{group}sign"] or match[f"{group}unit"] for group in groups)


def _amount(text: str) -> float:
    text = text.strip().replace(",", "")
    if text[-1] in "kK":
        return float(text[:-1]) * 1000
    if text[0].isdigit() and text[0] not in _CHINESE_DIGITS:
        unit = _CHINESE_UNITS.get(text[-1])
        return float(text[:-1]) * unit if unit else float(text)
    return _chinese_number(text)


def _chinese_number(text: str) -> float:
    """``三百五十`` → 350, ``两千`` → 2000, ``一万二千`` → 12000."""
    total = section = digit = 0
    for char in text:
        if char in _CHINESE_DIGITS:
            digit = _CHINESE_DIGITS[char]
        elif char == "万":
            total += (section + digit) * 10_000
            section = digit = 0
        else:
            section += (digit or 1) * _CHINESE_UNITS[char]
            digit = 0
    return float(total + section + digit)
