"""What a server may serve: the current release where it is whole, else the last one that is."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from endcap_rerank.errors import ReleaseError
from endcap_rerank.release import Release

from endcap_export.beside_models import releases_beside, remove_beside
from endcap_export.registrations import MODELS, Registration, current, history, served_releases
from endcap_export.registry import RELEASES, rollback, verify_served


def sound_release(repository: Path, say: Callable[[str], None]) -> Registration:
    """Hold what is served against its checksums; where a file differs, roll back to a release that is whole.

    It becomes a new version, as ``rollback`` does it, so what is broken is served by no later start either.
    Where the release itself is whole and only what Triton loads of it differs, it is registered anew.
    A broken one that was served beside it is dropped: no experiment is worth a server that does not start.

    Args:
        say: told in one sentence what is broken and what is served instead.

    Returns:
        What is served now.

    Raises:
        ReleaseError: nothing is registered, no release is whole, or the repository cannot be written.
    """
    _end_broken(repository, say)
    try:
        return verify_served(repository)
    except ReleaseError as broken:
        for release in reversed(served_releases(history(repository))):
            try:
                Release.open(repository / RELEASES / release, verify=True)
            except ReleaseError:
                continue
            try:
                rollback(repository, release)
            except OSError as error:
                raise ReleaseError(
                    f"{broken}; {release} is whole, but the repository cannot be written ({error}): "
                    "`endcap rollback` where it is made, or restore the file"
                ) from error
            say(f"refused: {broken}; {release} is served instead")
            return current(repository)
        raise


def _end_broken(repository: Path, say: Callable[[str], None]) -> None:
    generation = (repository / MODELS).resolve()
    for release in releases_beside(generation):
        try:
            Release.open(repository / RELEASES / release, verify=True)
        except ReleaseError as broken:
            remove_beside(generation, release)
            say(f"refused: {broken}; it is no longer served beside the current release")
