"""Checkpoints of a run: where they lie, which is the last whole one, and whether it fits."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from endcap_rerank.errors import EndcapError, InvalidInputError

FOLDER = "checkpoints"
STATE = "state.pt"
_STEPS = "trainer_state.json"
KEPT = 2
"""The last but one is there for the case that the last was being written when the machine stopped."""


def last_checkpoint(folder: Path) -> Path:
    """The last checkpoint of the run in ``folder`` that was written whole.

    Raises:
        EndcapError: there is none.
    """
    found = []
    for path in (folder / FOLDER).glob("checkpoint-*"):
        step = re.fullmatch(r"checkpoint-(\d+)", path.name)
        # The Trainer writes its own record last.
        if step and (path / STATE).is_file() and _readable(path / _STEPS):
            found.append((int(step[1]), path))
    if not found:
        raise EndcapError(f"{folder}: no checkpoint to go on from; leave out --resume to train anew")
    return max(found)[1]


def read_state(checkpoint: Path, made_of: Mapping[str, Any]) -> dict[str, Any]:
    """What the run had in its hands at a checkpoint.

    Args:
        checkpoint: its folder.
        made_of: what this run is made of; the checkpoint's run must have been made of the same.

    Raises:
        InvalidInputError: it was made of something else, which it names.
    """
    state: dict[str, Any] = torch.load(checkpoint / STATE, map_location="cpu", weights_only=True)
    before = json.loads(state["made_of"])
    for name, value in json.loads(json.dumps(made_of)).items():
        if before.get(name) != value:
            raise InvalidInputError(
                name, value, f"the run in {checkpoint.parents[1]} has {before.get(name)!r}, as --resume must"
            )
    return state


def remove_checkpoints(folder: Path) -> None:
    """Remove all checkpoints of the run in ``folder``."""
    shutil.rmtree(folder / FOLDER, ignore_errors=True)


def _readable(file: Path) -> bool:
    try:
        return isinstance(json.loads(file.read_text("utf-8")), dict)
    except (OSError, ValueError):
        return False
