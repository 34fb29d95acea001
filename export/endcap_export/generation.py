"""One generation of a repository: every Triton model's config and versions, written as one folder."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from pathlib import Path

from endcap_rerank.deployed import write_pointer
from endcap_rerank.errors import ReleaseError
from endcap_rerank.release import ENCODER_DIR, Release, checksum
from endcap_rerank.schema import ENCODE, QUERY_EMBEDDING, RERANK, TAG_LOGITS, TOKENIZE
from google.protobuf import text_format
from tritonclient.grpc import model_config_pb2

CONFIG = "config.pbtxt"
GENERATION_PREFIX = ".models-"

WAITING = 18
"""Searches that may wait to be begun, for each instance of ``rerank``.

With those under way, the slowest of a flood's answers took 0.8 s (p99, on one core); with 24 and 8 they took
0.9, and in another run, on cores that others share, most were later than callers waited, a second.
"""

UNDER_WAY = 6
"""Searches that may be between the first step and the last, for each instance of ``rerank``."""


def write_generation(
    target: Path,
    templates: Path,
    release: Release,
    version: int,
    precision: str,
    previous: Path | None,
    kept: Sequence[int],
) -> tuple[str, ...]:
    """Write every model of ``templates`` with ``version`` serving ``release``.

    Args:
        target: a new folder.
        templates: ``<model>/config.pbtxt`` and ``<model>/1/model.py``.
        release: a release that lies in ``releases/`` of the same repository.
        version: number of the new version.
        precision: which encoder ``encode`` runs.
        previous: the generation before, whose versions ``kept`` are taken over.
        kept: version numbers to take over.

    Returns:
        The models' names in the order in which a server must load them, ensembles last.

    Raises:
        ReleaseError: a template is missing or cannot be parsed.
    """
    names = sorted(path.parent.name for path in templates.glob(f"*/{CONFIG}"))
    if not names:
        raise ReleaseError(f"{templates}: no Triton models; set ENDCAP_MODEL_REPOSITORY to their folder")
    ensembles = []
    instances = sum(group.count for group in read_config(templates / RERANK.name / CONFIG).instance_group)
    for name in names:
        source, model = templates / name, target / name
        model.mkdir(parents=True)
        config = read_config(source / CONFIG)
        if config.platform == "ensemble":
            ensembles.append(name)
            # Pinned: a request never meets the tokenizer of one release and the index of another.
            for step in config.ensemble_scheduling.step:
                step.model_version = version
        _set_dims(config, release)
        _set_limits(config, name, instances)
        (model / CONFIG).write_text(text_format.MessageToString(config), "utf-8")
        for extra in sorted((source / "configs").glob("*.pbtxt")):
            alternative = read_config(extra)
            _set_dims(alternative, release)
            _set_limits(alternative, name, instances)
            (model / "configs").mkdir(exist_ok=True)
            (model / "configs" / extra.name).write_text(text_format.MessageToString(alternative), "utf-8")
        if previous is not None:
            for old in kept:
                if (previous / name / str(old)).is_dir():
                    link_tree(previous / name / str(old), model / str(old))
        _write_version(source / "1", model / str(version), config, release, precision)
    return (*(name for name in names if name not in ensembles), *ensembles)


def verify_generation(models: Path, release: Release, version: int, precision: str) -> None:
    """Check that the encoder which a version serves is the release's.

    Raises:
        ReleaseError: a file is missing or differs.
    """
    folder = models / ENCODE.name / str(version)
    for served, name in (("model.onnx", f"{precision}.onnx"), ("model.plan", "tensorrt.plan")):
        source, file = release.path / ENCODER_DIR / name, folder / served
        expected = release.manifest["checksums"].get(f"{ENCODER_DIR}/{name}")
        if expected is None:
            continue
        if not file.is_file():
            raise ReleaseError(f"{file}: missing; `endcap register` writes it")
        # A hard link has been read with the release.
        if not file.samefile(source) and (actual := checksum(file)) != expected:
            raise ReleaseError(f"{file}: checksum {actual[:12]}…, the manifest says {expected[:12]}…")


def read_config(file: Path) -> model_config_pb2.ModelConfig:
    """Parse a ``config.pbtxt`` as Triton does.

    Raises:
        ReleaseError: with the parser's line and reason.
    """
    try:
        return text_format.Parse(file.read_text("utf-8"), model_config_pb2.ModelConfig())
    except text_format.ParseError as error:
        raise ReleaseError(f"{file}: {error}") from error


def _write_version(
    template: Path,
    folder: Path,
    config: model_config_pb2.ModelConfig,
    release: Release,
    precision: str,
) -> None:
    if template.is_dir():
        shutil.copytree(template, folder, ignore=shutil.ignore_patterns("__pycache__", ".*", "*.onnx"))
    else:
        folder.mkdir()
    if config.name == ENCODE.name:
        _link(release.encoder(precision), folder / "model.onnx")
        if (plan := release.path / ENCODER_DIR / "tensorrt.plan").is_file():
            _link(plan, folder / "model.plan")
    if config.backend == "python":
        write_pointer(folder, release.path)


def _set_dims(config: model_config_pb2.ModelConfig, release: Release) -> None:
    """Put the release's sizes in: Triton's C++ backend wants fixed dims of the ONNX file exactly."""
    if config.name not in ("", ENCODE.name):
        return
    exact = {
        QUERY_EMBEDDING.name: [release.dimension],
        TAG_LOGITS.name: [-1, max(1, len(release.labels))],
    }
    for output in config.output:
        if output.name in exact:
            output.dims[:] = exact[output.name]


def _set_limits(config: model_config_pb2.ModelConfig, model: str, instances: int) -> None:
    """Bound what waits for ``tokenize`` and what it lets in, where the template leaves that open.

    The steps behind never refuse what it has let in: their queues hold all of it.

    Args:
        model: whose config it is; an alternative one has no name.
        instances: of ``rerank``, the step that takes longest.
    """
    policy = config.dynamic_batching.default_queue_policy
    if model == TOKENIZE.name:
        policy.max_queue_size = policy.max_queue_size or WAITING * instances
        if "under_way" not in config.parameters:
            config.parameters["under_way"].string_value = str(UNDER_WAY * instances)
    elif model in (ENCODE.name, RERANK.name) and policy.max_queue_size:
        policy.max_queue_size = max(policy.max_queue_size, UNDER_WAY * instances)


def link_tree(source: Path, target: Path) -> None:
    """Take a version over as hard links."""
    shutil.copytree(source, target, copy_function=_link, ignore=shutil.ignore_patterns("__pycache__"))


def _link(source: str | Path, target: str | Path) -> None:
    """A hard link where the file system has them: releases are immutable, so a copy would gain nothing."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)
