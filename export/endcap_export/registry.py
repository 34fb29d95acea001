"""Registering a release as the next version of every Triton model, and rolling back.

A repository (see ``docs`` and DESIGN.md)::

    models -> .models-7        what tritonserver reads: a link to the current generation
    .models-7/registry.json    what was registered so far; ``registry.json`` links to it
    releases/<id>/             the releases that may still be served
    state/                     stores that outlive a release

A generation is written whole under a temporary name; the one step that changes what is served is the
rename of the ``models`` link. A crash before it leaves the old generation, a crash after it the new
one, and never a mixture of the two.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

from endcap_rerank.errors import InvalidInputError, ReleaseError
from endcap_rerank.ranker import CATALOG_FILE
from endcap_rerank.release import Release

from endcap_export.beside_models import keep_beside, releases_beside
from endcap_export.gate import GateError, Verdict, judge
from endcap_export.generation import GENERATION_PREFIX, verify_generation, write_generation
from endcap_export.reencode import reencode_changes
from endcap_export.registrations import (
    MODELS,
    REGISTRY,
    Registration,
    current,
    history,
    served_releases,
)
from endcap_export.release import sync, sync_tree
from endcap_export.triton import load_models

__all__ = [
    "MODELS",
    "REGISTRY",
    "RELEASES",
    "STATE",
    "Registration",
    "current",
    "default_templates",
    "history",
    "register",
    "rollback",
    "verify_served",
]

KEPT_VERSIONS = 3
"""Versions of each model, and releases, that stay in the repository."""

RELEASES = "releases"
STATE = "state"


def default_templates() -> Path:
    """Folder of the Triton models' templates: ``ENDCAP_MODEL_REPOSITORY``, else the checkout's."""
    named = os.environ.get("ENDCAP_MODEL_REPOSITORY")
    return Path(named) if named else Path(__file__).resolve().parents[2] / "model_repository"


def register(
    release_dir: Path,
    repository: Path,
    templates: Path | None = None,
    *,
    precision: str = "int8",
    server: str | None = None,
    force: str | None = None,
) -> int:
    """Make a release the next version of every Triton model, unless it loses against the one that is served.

    What the gate (``endcap_export.gate``) found is kept in the history, with the reason of a forced one.

    Args:
        release_dir: a release; copied into the repository unless it lies there already.
        repository: made when absent.
        templates: the models' ``config.pbtxt`` and ``model.py``; ``default_templates()`` when None.
        precision: which of the release's encoders is served; fp32 where the release has no int8.
        server: URL of a running Triton (``localhost:8001`` or ``http://localhost:8000``) that shall
            load the new version at once.
        force: the reason for which the release shall be served although the gate refuses it. It overrules
            figures, not a damaged file or an index of another encoder.

    Returns:
        The version number.

    Raises:
        GateError: the gate refuses it; the error has the figures.
        ReleaseError: the release is damaged, or the running server refused it. In each case the repository
            serves what it served before.
        InvalidInputError: the reason is blank.
    """
    if force is not None and not force.strip():
        raise InvalidInputError("force", force, "the reason is expected; it is kept")
    release = Release.open(release_dir, verify=True)
    precision = precision_of(release, precision)
    repository.mkdir(parents=True, exist_ok=True)
    with exclusive(repository):
        verdict = _judged(repository, release, precision)
        refusals = verdict.refusals
        if refusals and (force is None or not all(check.forceable for check in refusals)):
            raise GateError(release, verdict)
        copy_release(release, repository / RELEASES)
        reason = force.strip() if force and refusals else ""
        return _switch(repository, release.id, templates, precision, "register", server, verdict, reason)


def rollback(
    repository: Path,
    to: str | None = None,
    templates: Path | None = None,
    *,
    server: str | None = None,
) -> int:
    """Return to an earlier release by registering it again as a new version.

    Args:
        repository: where releases were registered.
        to: release id; None is the one that was served before the current one. Repeated rollbacks go
            further back, never to a release that was rolled back from.
        templates: as in ``register``.
        server: as in ``register``.

    Returns:
        The new version number.

    Raises:
        ReleaseError: there is no such release in the repository, or as in ``register``.
    """
    with exclusive(repository):
        entries = history(repository)
        served = served_releases(entries)
        if to is None:
            if len(served) < 2:
                raise ReleaseError(f"{repository}: no earlier release to return to")
            to = served[-2]
        if not (repository / RELEASES / to).is_dir():
            kept = sorted(path.name for path in (repository / RELEASES).glob("[!.]*"))
            raise ReleaseError(f"{repository}: no release {to!r}; kept are {', '.join(kept) or 'none'}")
        Release.open(repository / RELEASES / to, verify=True)
        precision = next((entry.precision for entry in reversed(entries) if entry.release == to), "int8")
        return _switch(repository, to, templates, precision, "rollback", server)


def verify_served(repository: Path) -> Registration:
    """Hold every file of what is served against the checksums in the release's manifest.

    About a second for 200 MB.

    Returns:
        What is served.

    Raises:
        ReleaseError: nothing is registered, or a file is missing or differs.
    """
    entry = current(repository)
    release = Release.open(repository / RELEASES / entry.release, verify=True)
    verify_generation(repository / MODELS, release, entry.version, entry.precision)
    return entry


def precision_of(release: Release, wanted: str) -> str:
    """The wanted precision; fp32 where the release has no int8."""
    return "fp32" if wanted == "int8" and "int8" not in release.manifest.get("precisions", ()) else wanted


def _judged(repository: Path, release: Release, precision: str) -> Verdict:
    entries = history(repository)
    if not entries:
        return judge(release, precision)
    running = Release.open(repository / RELEASES / entries[-1].release)
    return judge(release, precision, running, entries[-1].precision)


def _switch(
    repository: Path,
    release_id: str,
    templates: Path | None,
    precision: str,
    action: str,
    server: str | None,
    verdict: Verdict | None = None,
    forced: str = "",
) -> int:
    entries = history(repository)
    version = max((entry.version for entry in entries), default=0) + 1
    release = Release.open(repository / RELEASES / release_id)
    now = datetime.now(UTC).isoformat(timespec="seconds")
    gate = verdict.as_mapping() if verdict else {}
    entry = Registration(version, release_id, now, action, precision, gate, forced)
    before = _generation(repository)
    kept = [old.version for old in entries[-(KEPT_VERSIONS - 1) :]]
    draft = repository / f".draft{GENERATION_PREFIX}{version}"
    shutil.rmtree(draft, ignore_errors=True)
    after = repository / f"{GENERATION_PREFIX}{version}"
    shutil.rmtree(after, ignore_errors=True)
    try:
        models = write_generation(
            draft, templates or default_templates(), release, version, precision, before, kept
        )
        if before is not None:
            keep_beside(before, draft)
        document = json.dumps([asdict(one) for one in (*entries, entry)], indent=2)
        (draft / REGISTRY).write_text(document, "utf-8")
        sync_tree(draft)
        draft.rename(after)
    except BaseException:
        shutil.rmtree(draft, ignore_errors=True)
        raise
    _link(repository, after.name)
    if server is not None:
        try:
            load_models(server, after, models)
        except ReleaseError as error:
            if before is None:
                raise
            _link(repository, before.name)
            shutil.rmtree(after, ignore_errors=True)
            served = entries[-1].release
            with contextlib.suppress(ReleaseError):
                # What the server loaded of the new version goes; where it answers nothing, it loaded nothing.
                load_models(server, before, models)
            raise ReleaseError(f"{release_id} was refused, {served} is served on: {error}") from error
    # The served version knows changed products by their words until they have its vectors.
    reencode_changes(repository / STATE / CATALOG_FILE, release, precision)
    _prune(repository, after.name, (*entries, entry))
    return version


def _link(repository: Path, generation: str) -> None:
    """Point ``models`` at a generation; the rename is the one step that changes what is served."""
    models = repository / MODELS
    if models.exists() and not models.is_symlink():
        raise ReleaseError(f"{models}: a folder that Endcap did not make; choose another repository")
    for name, target in ((MODELS, generation), (REGISTRY, f"{MODELS}/{REGISTRY}")):
        fresh = repository / f".{name}.new"
        fresh.unlink(missing_ok=True)
        fresh.symlink_to(target)
        fresh.replace(repository / name)
    sync(repository)


def _generation(repository: Path) -> Path | None:
    models = repository / MODELS
    return repository / models.readlink() if models.is_symlink() else None


def _prune(repository: Path, generation: str, entries: Sequence[Registration]) -> None:
    for path in repository.glob(f"*{GENERATION_PREFIX}*"):
        if path.name != generation:
            shutil.rmtree(path, ignore_errors=True)
    kept: list[str] = []
    for entry in reversed(entries):
        if entry.release not in kept:
            kept.append(entry.release)
    beside = releases_beside(repository / generation)
    for path in (repository / RELEASES).glob("[!.]*"):
        # A release that was built here but never registered is not ours to remove.
        if path.name in kept[KEPT_VERSIONS:] and path.name not in beside:
            shutil.rmtree(path, ignore_errors=True)


def copy_release(release: Release, releases: Path) -> None:
    """Copy a release into a repository unless it is there.

    Raises:
        ReleaseError: another one has its id.
    """
    target = releases / release.id
    if target.resolve() == release.path.resolve():
        return
    if target.exists():
        if Release.open(target, verify=True).manifest["checksums"] != release.manifest["checksums"]:
            raise ReleaseError(f"{target}: another release of that id is there already")
        return
    releases.mkdir(exist_ok=True)
    draft = releases / f".{release.id}.new"
    shutil.rmtree(draft, ignore_errors=True)
    try:
        shutil.copytree(release.path, draft)
        sync_tree(draft)
        draft.rename(target)
    except BaseException:
        shutil.rmtree(draft, ignore_errors=True)
        raise
    sync(releases)


@contextlib.contextmanager
def exclusive(repository: Path) -> Iterator[None]:
    """One registration at a time, across processes."""
    if not repository.is_dir():
        raise ReleaseError(f"{repository}: no such repository")
    with (repository / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
