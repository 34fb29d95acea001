"""Who gets which of two or more releases that are served side by side."""

from __future__ import annotations

import hashlib
import hmac
import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from endcap_client.errors import InvalidRequest


@dataclass(frozen=True)
class Split:
    """Shares of visitors for releases beside the current one; the others get the current one.

    The same visitor always gets the same release, in every process and without anything stored: the place
    of HMAC-SHA256(key, id) among all hashes decides (RFC 2104). Raising the share of a single release takes
    nobody out of it. Another key draws anew, so that the visitors of one experiment are not those of the
    last; without knowing the key nobody can choose.

    Attributes:
        shares: release id → share of the visitors, above 0, together at most 1.
        key: the experiment's name or secret.

    Example:
        >>> split = Split({"20261124-101500-ab12cd": 0.1}, key="new encoder")
        >>> split.release_of("ada") == split.release_of("ada")
        True
        >>> shop.search("sofa", user="ada", release=split.release_of("ada"))   # doctest: +SKIP
    """

    shares: Mapping[str, float]
    key: str = field(repr=False)

    def __post_init__(self) -> None:
        for release, share in self.shares.items():
            if isinstance(share, bool) or not isinstance(share, (int, float)):
                raise TypeError(f"shares[{release!r}]: a number is expected, got {type(share).__name__}")
            if not 0.0 < share <= 1.0:
                raise InvalidRequest(
                    f"shares[{release!r}]: got {share}; a share above 0, at most 1, is expected", "shares"
                )
        total = math.fsum(self.shares.values())
        if total > 1.0 + 1e-9:
            raise InvalidRequest(f"shares: got {total:g} in all; at most 1 is expected", "shares")
        if not self.key:
            raise InvalidRequest("key: got an empty one; a name of the experiment is expected", "key")

    def release_of(self, visitor: str) -> str | None:
        """The release for a shopper or a session; None for the current one.

        Args:
            visitor: id of the shopper, or of the session where nobody is logged in.
        """
        digest = hmac.digest(self.key.encode(), visitor.encode("utf-8", "surrogatepass"), hashlib.sha256)
        place = int.from_bytes(digest[:8], "big") / 2.0**64
        upper = 0.0
        for release, share in self.shares.items():
            upper += share
            if place < upper:
                return release
        return None
