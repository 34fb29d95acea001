"""Arrays of an index on disk: plain ``.npy`` files, memory-mapped so that all processes share one copy."""

from __future__ import annotations

import mmap
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from endcap_rerank.errors import ReleaseError


def save_array(directory: Path, name: str, array: NDArray[Any]) -> None:
    """Write ``array`` as ``directory/name.npy``."""
    np.save(directory / f"{name}.npy", np.ascontiguousarray(array), allow_pickle=False)


def open_array(directory: Path, name: str, *, private: bool = False) -> NDArray[Any]:
    """Map ``directory/name.npy``, read-only.

    With ``private`` it may be written: that stays in this process, and only the pages written take memory.

    Returns a plain ``ndarray``: the ``memmap`` subclass costs microseconds on every slice.

    Raises:
        ReleaseError: the file is missing or damaged.
    """
    file = directory / f"{name}.npy"
    try:
        try:
            mapped: NDArray[Any] = np.load(file, mmap_mode="c" if private else "r", allow_pickle=False).view(
                np.ndarray
            )
            return mapped
        except ValueError:
            # The operating system maps no empty array; a damaged file fails again here.
            return np.load(file, allow_pickle=False)  # type: ignore[no-any-return]
    except (OSError, ValueError, EOFError) as error:
        raise ReleaseError(f"{file}: cannot be read ({error})") from error


def open_blob(file: Path) -> mmap.mmap | bytes:
    """Map a file of raw bytes read-only; an empty file gives ``b""``.

    Raises:
        ReleaseError: the file is missing.
    """
    try:
        if file.stat().st_size == 0:
            return b""
        with file.open("rb") as stream:
            return mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ)
    except OSError as error:
        raise ReleaseError(f"{file}: cannot be read ({error})") from error
