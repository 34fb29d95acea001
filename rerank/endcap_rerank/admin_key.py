"""The key that opens a server's administration: loading models, shared memory, statistics, log, traces."""

from __future__ import annotations

import os
import secrets
from collections.abc import Mapping
from pathlib import Path

from endcap_rerank.errors import InvalidInputError

VARIABLE = "ENDCAP_ADMIN_KEY"
FILE_VARIABLE = "ENDCAP_ADMIN_KEY_FILE"
FILE = Path("state", "admin.key")
"""Where a repository's own key is, which is made when none is given."""

MIN_CHARS = 16
HEADER = "admin-key"
"""Name of the HTTP header; over gRPC it is GRPC_HEADER."""
GRPC_HEADER = f"triton-grpc-protocol-{HEADER}"


def admin_key(repository: Path, environment: Mapping[str, str] | None = None) -> str | None:
    """The key of ``ENDCAP_ADMIN_KEY``, of the file ``ENDCAP_ADMIN_KEY_FILE``, or of the repository.

    Returns:
        None where none is given and the repository has none.

    Raises:
        InvalidInputError: a file cannot be read, a key is too short or has characters no header can carry.
    """
    env = os.environ if environment is None else environment
    if given := env.get(VARIABLE):
        return _valid(VARIABLE, given)
    if named := env.get(FILE_VARIABLE):
        return _read(FILE_VARIABLE, Path(named))
    own = repository / FILE
    return _read("admin key", own) if own.exists() else None


def made_admin_key(repository: Path, environment: Mapping[str, str] | None = None) -> str:
    """As ``admin_key``; where there is none the repository gets one that its owner alone can read.

    Raises:
        InvalidInputError: as ``admin_key``; or the repository's folder cannot be written.
    """
    known = admin_key(repository, environment)
    if known is not None:
        return known
    file = repository / FILE
    made = secrets.token_urlsafe(32)
    draft = file.with_name(f".{file.name}.{os.getpid()}")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w") as opened:
            opened.write(f"{made}\n")
        try:
            os.link(draft, file)  # whoever comes second takes the first one's key
        except FileExistsError:
            return _read("admin key", file)
        finally:
            draft.unlink()
    except OSError as error:
        expected = f"a folder that can be written, or {VARIABLE} or {FILE_VARIABLE}, is expected ({error})"
        raise InvalidInputError("admin key", str(file), expected) from None
    return made


def _read(field: str, file: Path) -> str:
    expected = f"a readable file that holds a key of at least {MIN_CHARS} characters is expected"
    try:
        return _valid(field, file.read_text("ascii").strip())
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInputError(field, str(file), f"{expected} ({error})") from None


def _valid(field: str, key: str) -> str:
    if len(key) < MIN_CHARS or not key.isascii() or not key.isprintable() or " " in key:
        expected = f"at least {MIN_CHARS} printable ASCII characters without spaces are expected"
        raise InvalidInputError(field, f"a key of {len(key)} characters", expected)
    return key
