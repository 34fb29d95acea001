"""Which repository a benchmark runs against when none is named."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from endcap_rerank.errors import EndcapError
from endcap_rerank.settings import Settings

DEMO = Path("build/demo")
REAL = Path("build/homedepot")


class NothingToMeasure(EndcapError):
    """There is no repository yet; the message says which command makes one."""


@dataclass(frozen=True)
class Prepared:
    """A registered repository and the queries to ask it: a file, or a shop's folder."""

    repository: Path
    traffic: Path


def demo() -> Prepared:
    """The demo shop.

    Raises:
        NothingToMeasure: it was not built yet.
    """
    prepared = Prepared(DEMO / "repository", DEMO / "shop")
    if not (prepared.repository / "models").exists():
        raise NothingToMeasure(f"{prepared.repository}: no repository; `make demo` builds it")
    return prepared


def real_or_demo() -> Prepared:
    """The 54,667 products of Home Depot where they are built, else the demo shop."""
    repository = REAL / "repository" if (REAL / "repository").exists() else REAL
    queries = Settings.from_environment().data / "homedepot" / "judgments.train.csv"
    if (repository / "models").exists() and queries.is_file():
        return Prepared(repository, queries)
    return demo()
