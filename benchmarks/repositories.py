"""Which repository a benchmark runs against when none is named; built first where it is missing."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path

from endcap_export.progress import Progress
from endcap_rerank.settings import Settings

DEMO = Path("build/demo")
REAL = Path("build/homedepot")
STEPS = 40
"""Training steps of a repository that is built here: latency does not depend on what was learnt."""


@dataclass(frozen=True)
class Prepared:
    """A registered repository and the queries to ask it: a file, or a shop's folder."""

    repository: Path
    traffic: Path

    @property
    def registered(self) -> bool:
        """Whether there is something to serve."""
        return (self.repository / "models").exists()


def demo(progress: Progress) -> Prepared:
    """The demo shop, as ``make demo`` leaves it; made with little training where it is missing.

    Args:
        progress: told of each stage of a build.

    Raises:
        EndcapError: it cannot be built.
    """
    prepared = Prepared(DEMO / "repository", DEMO / "shop")
    if not (prepared.traffic / "queries.csv").is_file():
        from endcap.demo_shop import generate

        generate(prepared.traffic)
    if not prepared.registered:
        _build(prepared.traffic, prepared.repository, None, progress)
    return prepared


def demo_of_two(progress: Progress) -> Prepared:
    """The demo shop with a second release to switch to; made with little training where it has one only.

    Raises:
        EndcapError: it cannot be built.
    """
    from endcap_export.registrations import history

    prepared = demo(progress)
    if len({entry.release for entry in history(prepared.repository)}) < 2:
        _add_release(prepared, progress)
    return prepared


def real_or_demo(progress: Progress) -> Prepared:
    """The 54,667 products of Home Depot where ``ENDCAP_DATA`` has them, else the demo shop.

    Raises:
        EndcapError: it cannot be built.
    """
    data = Settings.from_environment().data
    prepared = Prepared(REAL / "repository", data / "homedepot" / "judgments.train.csv")
    if not prepared.traffic.is_file():
        return demo(progress)
    if not prepared.registered:
        tags = data / "queryner"
        _build(data / "homedepot", prepared.repository, tags if tags.is_dir() else None, progress)
    return prepared


def _build(data: Path, repository: Path, tags: Path | None, progress: Progress) -> None:
    from endcap_export.build import build
    from endcap_export.train import TrainingSettings

    build(data, repository, tags=tags, settings=TrainingSettings(max_steps=STEPS), progress=progress)


def _add_release(prepared: Prepared, progress: Progress) -> None:
    from endcap_export.export import export_release
    from endcap_export.registry import RELEASES, register
    from endcap_export.shop import Shop, ShopFiles
    from endcap_export.train import TrainingSettings
    from endcap_export.trained import train_encoder

    shop = Shop.load(ShopFiles.find(prepared.traffic))
    settings = TrainingSettings(max_steps=STEPS, seed=1, evaluate="never", report_to="none")
    with tempfile.TemporaryDirectory(prefix="endcap-second-") as folder:
        trained = train_encoder(shop, "minilm", Path(folder), settings, progress=progress)
        release = export_release(trained, shop, prepared.repository / RELEASES, progress=progress)
    register(release.path, prepared.repository, force="a second release for a benchmark to switch to")
