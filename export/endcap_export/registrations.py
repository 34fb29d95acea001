"""The history of a repository: which release became which version, and why."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from endcap_rerank.errors import ReleaseError

MODELS = "models"
REGISTRY = "registry.json"


@dataclass(frozen=True)
class Registration:
    """One line of the history: which release became which version.

    Attributes:
        action: ``register`` or ``rollback``.
        precision: which of the release's encoders is served.
        gate: what the gate found, see ``endcap_export.gate.Verdict``; empty for a rollback.
        forced: the reason for which a refused release was taken all the same; empty for others.
    """

    version: int
    release: str
    at: str
    action: str
    precision: str = "int8"
    gate: Mapping[str, Any] = field(default_factory=dict)
    forced: str = ""


def history(repository: Path) -> tuple[Registration, ...]:
    """What was registered, oldest first; empty for a repository that does not exist yet.

    Raises:
        ReleaseError: ``registry.json`` is damaged.
    """
    file = repository / MODELS / REGISTRY
    try:
        return tuple(Registration(**entry) for entry in json.loads(file.read_text("utf-8")))
    except FileNotFoundError:
        return ()
    except (ValueError, TypeError) as error:
        raise ReleaseError(f"{file}: damaged ({error})") from error


def current(repository: Path) -> Registration:
    """The registration that is served.

    Raises:
        ReleaseError: nothing is registered.
    """
    entries = history(repository)
    if not entries:
        raise ReleaseError(f"{repository}: no release is registered; `endcap register` does it")
    return entries[-1]


def served_releases(entries: Sequence[Registration]) -> list[str]:
    """Releases as a stack: a rollback to X drops what was registered after X."""
    stack: list[str] = []
    for entry in entries:
        if entry.action == "rollback" and entry.release in stack:
            del stack[stack.index(entry.release) :]
        if not stack or stack[-1] != entry.release:
            stack.append(entry.release)
    return stack
