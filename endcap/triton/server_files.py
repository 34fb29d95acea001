"""What a server leaves outside its models: a folder of backends, shared memory, its log."""

from __future__ import annotations

import itertools
import os
import shutil
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from endcap.triton.installation import Installation
from endcap.triton.launch import Launch

KEPT_LOGS = 10
FOLDER_PREFIX = "endcap-triton-"
REGION_PREFIX = "endcap_"
SHARED_MEMORY = Path("/dev/shm")
_numbers = itertools.count()


@dataclass(frozen=True)
class ServerFiles:
    """The files of one server.

    Attributes:
        folder: temporary.
        backends: what tritonserver gets as its backend directory.
        log: None where it goes to standard error.
        shm_prefix: begins the names of its shared memory; tells several servers of a machine apart.
    """

    folder: Path
    backends: Path
    log: Path | None
    shm_prefix: str

    @classmethod
    def make(cls, launch: Launch, installation: Installation) -> ServerFiles:
        """Make them; what servers left whose parent was killed is removed first."""
        _remove_orphans()
        folder = Path(tempfile.mkdtemp(prefix=f"{FOLDER_PREFIX}{os.getpid()}-"))
        try:
            backends = installation.assemble_backends(folder)
            number = next(_numbers)
            file = None
            if not launch.verbose:
                logs = launch.repository / "logs"
                logs.mkdir(exist_ok=True)
                file = logs / f"triton-{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}-{number}.log"
                for old in sorted(logs.glob("triton-*.log"))[: -KEPT_LOGS + 1]:
                    old.unlink(missing_ok=True)
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise
        return cls(folder, backends, file, f"{REGION_PREFIX}{os.getpid()}_{number}_")

    def remove(self) -> None:
        """Remove all but the log."""
        shutil.rmtree(self.folder, ignore_errors=True)
        for region in SHARED_MEMORY.glob(f"{self.shm_prefix}*"):
            region.unlink(missing_ok=True)


def _remove_orphans() -> None:
    """Remove what servers left whose parent was killed and could not do it."""
    for folder in Path(tempfile.gettempdir()).glob(f"{FOLDER_PREFIX}*-*"):
        if _orphaned(folder.name.removeprefix(FOLDER_PREFIX).partition("-")[0]):
            shutil.rmtree(folder, ignore_errors=True)
    for region in SHARED_MEMORY.glob(f"{REGION_PREFIX}*_*"):
        if _orphaned(region.name.removeprefix(REGION_PREFIX).partition("_")[0]):
            region.unlink(missing_ok=True)


def _orphaned(owner: str) -> bool:
    return owner.isdigit() and not Path("/proc", owner).exists()
