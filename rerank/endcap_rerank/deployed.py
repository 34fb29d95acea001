"""Which release a version of a Triton model serves: ``release.json`` beside its ``model.py``."""

from __future__ import annotations

import json
from pathlib import Path

from endcap_rerank.errors import ReleaseError
from endcap_rerank.release import Release

POINTER = "release.json"


def write_pointer(version: Path, release: Path) -> None:
    """Note in a version's folder where its release lies, relative to the folder so that both can move."""
    relative = Path(*([".."] * 3), "releases", release.name)
    (version / POINTER).write_text(json.dumps({"release": relative.as_posix()}) + "\n", "utf-8")


def deployed_release(version: Path) -> Release:
    """Open the release of a version's folder, ``REPOSITORY/models/MODEL/VERSION``.

    Raises:
        ReleaseError: no or a damaged pointer, or no such release.
    """
    file = version / POINTER
    try:
        pointer = json.loads(file.read_text("utf-8"))["release"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ReleaseError(
            f"{file}: no pointer to a release; `endcap register` writes it ({error})"
        ) from error
    return Release.open((version / pointer).resolve())
