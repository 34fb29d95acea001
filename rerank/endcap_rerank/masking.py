"""E-mail addresses, phone and card numbers in a text, replaced before the text is stored or logged.

English and Chinese forms, full width too. What else has digits in a shop's queries stays: prices, sizes,
model and article numbers, bar codes. Where a number could be either, its punctuation or a word before it
decides: ``555-123-4567`` and ``call 5551234567`` are phones, ``5551234567`` is an article.
"""

from __future__ import annotations

import re

EMAIL = "[email]"
PHONE = "[phone]"
CARD = "[card]"

# Full-width forms (U+FF01 to U+FF5E) and the ideographic space become ASCII, one character for one, so that
# spans found in the copy are spans of the original.
_NARROW = {code: code - 0xFEE0 for code in range(0xFF01, 0xFF5F)} | {0x3000: 0x20}
# Dashes and odd spaces that keyboards and copied texts put into numbers.
_NARROW |= dict.fromkeys(map(ord, "‐‑‒–—−"), ord("-")) | dict.fromkeys(
    map(ord, "\u00a0\u2007\u2009\u202f"), 0x20
)

# No digit or Latin letter beside it: a part of a longer number or of a model's name is not a phone. Chinese
# characters may touch it: 电话13812345678.
_START = r"(?<![A-Za-z0-9])(?<![A-Za-z0-9][-.,/_])"
_END = r"(?![A-Za-z0-9])(?![-.,/_][A-Za-z0-9])"

# A domain may have labels of any script. Its last one is Latin or one of China's: Chinese text can follow it.
_EMAIL = re.compile(
    r"[A-Za-z0-9._%+'-]+\s?@\s?(?:[\w-]+\.)+(?:[A-Za-z][A-Za-z0-9-]+|中国|中國|公司|网络|網絡|香港|台灣)"
)
_CARD = re.compile(r"(?<![A-Za-z0-9])\d(?:[ -]?\d){13,18}(?![A-Za-z0-9])")
_ISSUERS = {
    14: re.compile(r"36|38|39|30[0-5]"),
    15: re.compile(r"3[47]"),
    16: re.compile(r"[45]|6[02-9]|2[2-7]|35"),
    17: re.compile(r"62"),
    18: re.compile(r"62|5[06-8]"),
    19: re.compile(r"62|4|5[06-8]"),
}

_PHONES = tuple(
    re.compile(pattern, re.IGNORECASE)
    for pattern in (
        # China, mobile: 13812345678, 138-1234-5678, +86 138 1234 5678, 0086…
        rf"(?<![A-Za-z0-9])(?:\(?(?:\+|00)86\)?[ -]?|86[ -])?1[3-9]\d[ -]?\d{{4}}[ -]?\d{{4}}{_END}",
        # China, fixed: 010-12345678, (021) 87654321
        rf"{_START}(?:\(0(?:10|2\d|[3-9]\d\d)\)[ -]?|0(?:10|2\d|[3-9]\d\d)-)[2-9]\d{{2,3}}[ -]?\d{{4}}{_END}",
        # Any country with its +code: 8 to 15 digits, grouped as people do
        r"(?<![A-Za-z0-9+])\+[1-9](?:[ ().-]{0,2}\d){7,14}(?![A-Za-z0-9])",
        # North America: (555) 123-4567, 555-123-4567, 555.123.4567, 1-555-123-4567
        rf"{_START}(?:1[ .-])?(?:\([2-9]\d\d\) ?|[2-9]\d\d(?P<dash>[-.]))\d{{3}}"
        rf"(?(dash)(?P=dash)|[ .-])\d{{4}}{_END}",
        # Trunk zero and groups: 020 7946 0958, 06 12 34 56 78
        rf"{_START}0[1-9]\d{{1,3}} \d{{3,4}} \d{{3,4}}{_END}",
        rf"{_START}0[1-9](?P<gap>[ .])\d\d(?:(?P=gap)\d\d){{3}}{_END}",
        # A word before it says what it is.
        r"(?:(?<![A-Za-z])(?:tel|phone|call|mobile|cell|whatsapp)|电话|電話|手机|手機|微信)"
        r"(?:号码|號碼|号|號| number| no)?[ .:]*(?P<number>\(?\d(?:[ ().-]{0,2}\d){6,14})(?![A-Za-z0-9])",
    )
)


def masked(text: str) -> str:
    """The text with ``[email]``, ``[phone]`` and ``[card]`` in place of what they name.

    A card number is one of 14 to 19 digits that an issuer's prefix leads and Luhn's check digit
    (ISO/IEC 7812-1) ends.
    """
    plain = text.translate(_NARROW)
    if "@" not in plain and sum(character.isdigit() for character in plain) < 7:
        return text
    spans = [(match.span(), EMAIL) for match in _EMAIL.finditer(plain)]
    spans += [(match.span(), CARD) for match in _CARD.finditer(plain) if is_card(match.group())]
    for pattern in _PHONES:
        name = "number" if "number" in pattern.groupindex else 0
        spans += [(match.span(name), PHONE) for match in pattern.finditer(plain)]
    pieces, end = [], 0
    for (start, stop), mark in sorted(spans, key=lambda span: (span[0][0], -span[0][1])):
        if start < end:  # within one that is masked already
            continue
        pieces += [text[end:start], mark]
        end = stop
    return "".join([*pieces, text[end:]])


def is_card(text: str) -> bool:
    """Whether the digits of a text are a card number: length, issuer, Luhn."""
    digits = [int(character) for character in text if character.isdigit()]
    issuer = _ISSUERS.get(len(digits))
    if issuer is None or not issuer.match("".join(map(str, digits))):
        return False
    doubled = [digit if place % 2 == 0 else digit * 2 for place, digit in enumerate(reversed(digits))]
    return sum(digit - 9 if digit > 9 else digit for digit in doubled) % 10 == 0
