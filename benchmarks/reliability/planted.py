"""Personal data planted into every call, and the search for it in whatever the server has written."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from endcap_client import Client, EndcapError, Event

EMAILS = ("planted.alice@example.com", "planted_zhang@例子.example.cn")
PHONES = ("13987654321", "+86 139-8765-4321", "(555) 987-6543", "１３９８７６５４３２１")
CARDS = ("4111 1111 1111 1111", "6011000990139424")
USERS = ("planted-user-77", "planted.bob@example.org", "13700001111")
PLANTED = (*EMAILS[:1], "planted_zhang", *PHONES, *CARDS, *USERS)
"""What must be found nowhere."""


def plant(shop: Client, items: Sequence[str]) -> None:
    """Searches, events and recommendations that hold it; ``items`` are ids of at least eight products."""
    for number, text in enumerate((*EMAILS, *PHONES, *CARDS)):
        user = USERS[number % len(USERS)]
        shop.search(f"red dress for {text}", user=user, k=3, explain=True)
        shop.feedback(Event(user, items[number], "click", query=f"连衣裙 {text} please"))
    for user in USERS:
        shop.recommend(user=user, k=3)


def plant_refused(shop: Client) -> None:
    """Calls that the server refuses; it must not quote them in its log either."""
    calls: tuple[dict[str, Any], ...] = (
        {"query": f"lamp {PHONES[0]} " * 60, "user": USERS[0]},
        {"query": "lamp", "user": USERS[1] * 30},
        {"query": "lamp", "user": USERS[0], "pin": [EMAILS[0] * 20]},
    )
    for call in calls:
        with contextlib.suppress(EndcapError):
            shop.search(**call)
    with contextlib.suppress(EndcapError):
        shop.feedback(Event(USERS[0], " ", "click", query=EMAILS[0]))


def hits(texts: Mapping[Any, bytes]) -> list[tuple[str, str]]:
    """(where, what) of every planted text that is found, in UTF-8 or UTF-16."""
    forms = {planted: (planted.encode(), planted.encode("utf-16-le")) for planted in PLANTED}
    return [
        (str(where), planted)
        for where, content in texts.items()
        for planted, encoded in forms.items()
        if any(form in content for form in encoded)
    ]


def files_of(repository: Path) -> dict[Path, bytes]:
    """Every file that a server of the repository may have written: stores and their own logs, logs."""
    found: dict[Path, bytes] = {}
    for path in repository.rglob("*"):
        if path.is_file() and "releases" not in path.relative_to(repository).parts:
            with contextlib.suppress(FileNotFoundError):
                found[path] = path.read_bytes()
    return found
