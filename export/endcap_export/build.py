"""One call from a shop's files to a registered release."""

from __future__ import annotations

import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from endcap_rerank.events import open_events
from endcap_rerank.release import Release
from endcap_rerank.settings import Settings

from endcap_export.affinities import learn_affinities
from endcap_export.export import export_release
from endcap_export.popularity import HALF_LIFE_DAYS
from endcap_export.progress import Progress, silent
from endcap_export.registry import RELEASES, STATE, register
from endcap_export.rows import MAX_BAD_SHARE
from endcap_export.shop import Shop, ShopFiles
from endcap_export.train import TrainingSettings
from endcap_export.trained import train_encoder


@dataclass(frozen=True)
class Built:
    """What a build made.

    Attributes:
        version: of every Triton model.
        events: how many of the shop's events were new to the repository's store.
        seconds: stage → seconds.
        warnings: a line for everything that was left out of the shop's files.
    """

    release: Release
    version: int
    events: int
    seconds: dict[str, float]
    warnings: tuple[str, ...]

    @property
    def record(self) -> dict[str, Any]:
        """What the manifest keeps: data, training, parity, metrics."""
        return dict(self.release.manifest["record"])


def build(
    data: Path,
    repository: Path,
    *,
    tags: Path | None = None,
    base: str = "minilm",
    settings: TrainingSettings | None = None,
    limit_train: int | None = None,
    normalize: str = "",
    method: str = "static",
    precision: str = "int8",
    tensorrt: bool = False,
    popularity_days: float = HALF_LIFE_DAYS,
    templates: Path | None = None,
    server: str | None = None,
    max_bad_share: float = MAX_BAD_SHARE,
    progress: Progress = silent,
) -> Built:
    """Read, train, export, index, register.

    Args:
        data: the shop's folder, see ``ShopFiles.find``.
        repository: made when absent; the release goes to ``releases/``, the events to ``state/``.
        tags: tagged queries that lie elsewhere.
        base: ``minilm``, ``zh``, a folder or a Hugging Face id.
        settings: hyperparameters of training.
        limit_train: most pairs and tagged queries to learn from; the index always has every product.
        normalize: ``width``, ``simplified`` or both with a comma between.
        method: of int8 quantization.
        precision: which encoder is served.
        tensorrt: also build a TensorRT engine.
        popularity_days: days in which an event counts half for how popular a product is.
        templates: the Triton models' templates.
        server: a running Triton that shall load the new version.
        max_bad_share: share of bad rows above which a file is refused.
        progress: told of each stage.

    Raises:
        EndcapError: with what cannot be used and why; nothing is registered then.
    """
    seconds: dict[str, float] = {}
    started = time.perf_counter()

    def lap(stage: str) -> None:
        nonlocal started
        seconds[stage] = round(time.perf_counter() - started, 2)
        started = time.perf_counter()

    progress("read", 0, 1)
    shop = Shop.load(ShopFiles.find(data, tags), max_bad_share=max_bad_share)
    progress("read", 1, 1)
    lap("read")
    with tempfile.TemporaryDirectory(prefix="endcap-build-") as folder:
        trained = train_encoder(
            shop,
            base,
            Path(folder),
            # Nothing in a folder that is removed at the end is gone on from.
            replace(settings or TrainingSettings(evaluate="never", report_to="none"), checkpoint_steps=0),
            limit=limit_train,
            normalize=normalize,
            progress=progress,
        )
        lap("train")
        release = export_release(
            trained,
            shop,
            repository / RELEASES,
            method=method,
            tensorrt=tensorrt,
            popularity_days=popularity_days,
            progress=progress,
        )
    lap("index")
    told: dict[str, float] = release.manifest["record"]["seconds"]
    seconds["index"] = round(seconds["index"] - sum(told.values()), 2)
    seconds.update(told)
    progress("register", 0, 1)
    version = register(release.path, repository, templates, precision=precision, server=server)
    progress("register", 1, 1)
    lap("register")
    events = import_events(shop, repository / STATE, progress)
    lap("events")
    if shop.events:
        progress("affinities", 0, 1)
        learn_affinities(repository)
        progress("affinities", 1, 1)
        lap("affinities")
    return Built(release, version, events, seconds, shop.warnings)


def import_events(shop: Shop, state: Path, progress: Progress = silent) -> int:
    """Put the shop's events into the store that serving reads; events that it has are not added twice.

    The store is that of the environment's ENDCAP_EVENTS, else the SQLite file in ``state``; users' ids are
    hashed and limits kept as the environment says.

    Returns:
        How many were new.
    """
    if not shop.events:
        return 0
    progress("events", 0, 1)
    store = open_events(replace(Settings.from_environment(), state=state))
    try:
        return store.import_events(shop.events)
    finally:
        store.close()
        progress("events", 1, 1)
