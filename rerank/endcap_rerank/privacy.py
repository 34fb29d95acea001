"""The keyed hash that stands for a shopper's id where ids shall not be stored."""

from __future__ import annotations

import hashlib
import hmac
import re
from pathlib import Path

from endcap_rerank.errors import InvalidInputError

MIN_KEY_BYTES = 16
"""A shorter key could be found by trying."""

_HASHED = re.compile(r"hmac:[0-9a-f]{32}\Z")


class UserKey:
    """A secret that turns a shopper's id into one that only its owner can connect with the shopper.

    HMAC-SHA256 (RFC 2104), its first 128 bits. Without the key the ids of a shop, often numbers or mail
    addresses, cannot be tried one by one. Another key makes all shoppers unknown.
    """

    def __init__(self, secret: bytes) -> None:
        if len(secret) < MIN_KEY_BYTES:
            raise InvalidInputError(
                "user key", f"{len(secret)} bytes", f"at least {MIN_KEY_BYTES} bytes are expected"
            )
        self._secret = secret

    @classmethod
    def read(cls, file: Path) -> UserKey:
        """Read the key of a file; white space around it does not count.

        Raises:
            InvalidInputError: the file cannot be read, or holds fewer than MIN_KEY_BYTES bytes.
        """
        expected = f"a readable file that holds a secret of at least {MIN_KEY_BYTES} bytes is expected"
        try:
            secret = file.read_bytes().strip()
        except OSError as error:
            raise InvalidInputError("ENDCAP_USER_KEY_FILE", str(file), f"{expected} ({error})") from None
        if len(secret) < MIN_KEY_BYTES:
            raise InvalidInputError("ENDCAP_USER_KEY_FILE", str(file), expected)
        return cls(secret)

    def __repr__(self) -> str:
        return "UserKey(…)"

    def hashed(self, user: str) -> str:
        """``hmac:`` and 32 hexadecimal digits. What has this form stays as it is, so that an exported log
        can be imported again; the empty id, of nobody, stays too.
        """
        if not user or _HASHED.match(user):
            return user
        digest = hmac.digest(self._secret, user.encode("utf-8", "surrogatepass"), hashlib.sha256)
        return f"hmac:{digest[:16].hex()}"
