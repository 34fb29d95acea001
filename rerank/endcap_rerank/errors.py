"""The error tree of the ranking side."""

from __future__ import annotations


class EndcapError(Exception):
    """Base of every error that Endcap raises on purpose."""


class InvalidInputError(EndcapError, ValueError):
    """A field of a request, a file or a setting cannot be used.

    The message always reads ``FIELD: got VALUE; WHAT WOULD BE RIGHT``.
    """

    def __init__(self, field: str, value: object, expected: str) -> None:
        self.field = field
        self.value = value
        self.expected = expected
        super().__init__(f"{field}: got {_shorten(value)}; {expected}")


class ReleaseError(EndcapError):
    """A release is missing a part, is damaged, or does not fit what wants to use it."""


class StoreError(EndcapError):
    """A store (events, catalogue changes) could not be read or written; nothing was acknowledged."""


class CancelledError(EndcapError):
    """The caller no longer waits for the answer: its deadline passed, or it hung up."""


def _shorten(value: object, limit: int = 80) -> str:
    text = repr(value)
    return text if len(text) <= limit else f"{text[:limit]}… ({len(text)} characters)"
