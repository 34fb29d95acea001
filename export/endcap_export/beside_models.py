"""Triton models of a release that is served beside the current one.

They are the current release's models under other names, ``MODEL-RELEASE``: a config of their own, because
Triton has one for all versions of a model and releases differ in sizes. Events and changes of the catalogue
are one shop's, so ``feedback`` and ``catalog`` are not among them.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from endcap_rerank.release import Release
from endcap_rerank.schema import ENCODE, RECOMMEND, RERANK, SEARCH, TOKENIZE
from google.protobuf import text_format

from endcap_export.generation import link_tree, read_config, write_generation

BESIDE = (TOKENIZE.name, ENCODE.name, RERANK.name, RECOMMEND.name, SEARCH.name)
"""Models of a release beside the current one, in the order in which a server must load them."""

VERSION = 1


def names_beside(release: str) -> tuple[str, ...]:
    """Names of the models of a release beside the current one, in the order of ``BESIDE``."""
    return tuple(f"{model}-{release}" for model in BESIDE)


def releases_beside(generation: Path) -> list[str]:
    """Ids of the releases that a generation serves beside its own."""
    prefix = f"{SEARCH.name}-"
    return sorted(path.name.removeprefix(prefix) for path in generation.glob(f"{prefix}*"))


def write_beside(generation: Path, draft: Path, templates: Path, release: Release, precision: str) -> None:
    """Add a release's models to a generation; the ensemble comes last and makes them count.

    Args:
        generation: folder of models that is served.
        draft: a name beside it that is free; nothing is left there.
        templates: as in ``write_generation``.
        release: a release that lies in ``releases/`` of the same repository.

    Raises:
        ReleaseError: as ``write_generation`` does.
    """
    try:
        write_generation(draft, templates, release, VERSION, precision, None, ())
        for model, name in zip(BESIDE, names_beside(release.id), strict=True):
            for file in draft.joinpath(model).glob("**/*.pbtxt"):
                _rename(file, release.id)
            shutil.rmtree(generation / name, ignore_errors=True)
            (draft / model).rename(generation / name)
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def remove_beside(generation: Path, release: str) -> None:
    """Take a release's models out of a generation, the ensemble first."""
    for name in reversed(names_beside(release)):
        shutil.rmtree(generation / name, ignore_errors=True)


def keep_beside(before: Path, after: Path) -> None:
    """Take over what a generation serves beside its own release."""
    for release in releases_beside(before):
        for name in names_beside(release):
            if (before / name).is_dir():
                link_tree(before / name, after / name)


def _rename(file: Path, release: str) -> None:
    config = read_config(file)
    if config.name:
        config.name = f"{config.name}-{release}"
    for step in config.ensemble_scheduling.step:
        step.model_name = f"{step.model_name}-{release}"
    file.write_text(text_format.MessageToString(config), "utf-8")
