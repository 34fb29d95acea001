"""Serving a second release beside the current one, to compare them on live traffic."""

from __future__ import annotations

import contextlib
from pathlib import Path

from endcap_rerank.errors import InvalidInputError, ReleaseError
from endcap_rerank.release import Release

from endcap_export.beside_models import names_beside, releases_beside, remove_beside, write_beside
from endcap_export.gate import GateError, judge
from endcap_export.registrations import MODELS, current
from endcap_export.registry import (
    RELEASES,
    copy_release,
    default_templates,
    exclusive,
    precision_of,
)
from endcap_export.triton import load_each, unload_each


def serve_beside(
    release: str,
    repository: Path,
    templates: Path | None = None,
    *,
    precision: str = "int8",
    server: str | None = None,
) -> str:
    """Serve a release beside the current one until ``end_beside``; registering others leaves it.

    It must be sound (checksums, index, parity), but it may be worse on held queries: that is what shall be
    found out. It takes as much memory and as many processes as the current one.

    Args:
        release: folder of a release, or the id of one that the repository has.
        repository: where a release is registered already.
        templates: as in ``register``.
        precision: which of its encoders is served; fp32 where it has no int8.
        server: URL of a running Triton that shall load it at once, as in ``register``.

    Returns:
        The release's id.

    Raises:
        InvalidInputError: no such release, or the one that is current.
        GateError: it is broken.
        ReleaseError: nothing is registered, or the server refused it: then it is not served.
    """
    with exclusive(repository):
        served = current(repository)
        folder = repository / RELEASES / release
        if not folder.is_dir():
            folder = Path(release)
        if not folder.is_dir():
            expected = "the folder of a release, or the id of one in the repository, is expected"
            raise InvalidInputError("release", release, expected)
        opened = Release.open(folder, verify=True)
        if opened.id == served.release:
            raise InvalidInputError("release", opened.id, "another one than the current release is expected")
        precision = precision_of(opened, precision)
        verdict = judge(opened, precision)
        if verdict.refusals:
            raise GateError(opened, verdict)
        copy_release(opened, repository / RELEASES)
        opened = Release.open(repository / RELEASES / opened.id)
        generation = repository / MODELS
        draft = repository / f".draft-beside-{opened.id}"
        write_beside(generation.resolve(), draft, templates or default_templates(), opened, precision)
        if server is not None:
            try:
                load_each(server, generation.resolve(), names_beside(opened.id))
            except ReleaseError as error:
                with contextlib.suppress(ReleaseError):
                    unload_each(server, repository, names_beside(opened.id)[::-1])
                remove_beside(generation.resolve(), opened.id)
                raise ReleaseError(f"{opened.id} is not served beside {served.release}: {error}") from error
    return opened.id


def end_beside(release: str, repository: Path, *, server: str | None = None) -> None:
    """Serve a release no longer beside the current one; the release itself stays for now.

    Args:
        release: id of a release that is served beside the current one.
        server: URL of a running Triton that shall unload it, as in ``register``.

    Raises:
        InvalidInputError: it is not served beside another.
        ReleaseError: the server did not unload it; it is served on.
    """
    with exclusive(repository):
        generation = (repository / MODELS).resolve()
        known = releases_beside(generation)
        if release not in known:
            raise InvalidInputError("release", release, f"one of {', '.join(known) or 'none'} is expected")
        if server is not None:
            unload_each(server, repository, names_beside(release)[::-1])
        remove_beside(generation, release)
