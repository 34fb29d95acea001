"""Finding tritonserver and putting together what it needs to run Endcap's models."""

from __future__ import annotations

import ctypes.util
import importlib.metadata
import importlib.util
import os
import shutil
import sys
import sysconfig
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from endcap_rerank.errors import EndcapError

STUB = "triton_python_backend_stub"
WHEEL = "nvidia-pytriton"
SERVED_PACKAGES = ("endcap_rerank",)
"""Endcap's packages that the models import; an editable installation keeps them outside site-packages."""


class TritonError(EndcapError):
    """tritonserver is missing, did not start, or ended unexpectedly; the message holds its own words."""


@dataclass(frozen=True)
class Installation:
    """A tritonserver and what lies around it.

    Attributes:
        executable: the program.
        backends: folder of its own backends.
        caches: folder of its response caches; None where the program knows it by itself.
        libraries: folders that must be on LD_LIBRARY_PATH.
        stubs: folder of Python-backend stubs by Python version; None where its one stub is used.
        guard: library that refuses shapes this tritonserver dies of; None where it needs none or has none.
    """

    executable: Path
    backends: Path
    caches: Path | None = None
    libraries: tuple[Path, ...] = ()
    stubs: Path | None = None
    guard: Path | None = None

    @property
    def unguarded(self) -> bool:
        """Whether a request with an impossible shape ends a process of this server (docs/security.md)."""
        return self.stubs is not None and self.guard is None

    @classmethod
    def find(cls, environment: Mapping[str, str] | None = None) -> Installation:
        """The tritonserver on PATH or in NVIDIA's container, else the one in the ``nvidia-pytriton`` wheel.

        Raises:
            TritonError: there is none, or the wheel has no stub for the running Python.
        """
        env = os.environ if environment is None else environment
        container = "/opt/tritonserver/bin"
        if found := shutil.which("tritonserver", path=os.pathsep.join([env.get("PATH", ""), container])):
            executable = Path(found).resolve()
            return cls(executable, executable.parent.parent / "backends")
        return cls._in_wheel()

    @classmethod
    def _in_wheel(cls) -> Installation:
        # The wheel is only looked at: importing `pytriton` would start its own machinery.
        try:
            files = importlib.metadata.distribution(WHEEL)
        except importlib.metadata.PackageNotFoundError:
            raise TritonError(
                "no tritonserver on PATH nor in /opt/tritonserver; "
                f"`pip install 'endcap[serve]'` brings one (the {WHEEL} wheel)"
            ) from None
        site = Path(str(files.locate_file("")))
        root = site / "pytriton" / "tritonserver"
        executable = root / "bin" / "tritonserver"
        if not executable.is_file():
            raise TritonError(f"{executable} is missing; reinstall {WHEEL}")
        version = f"{sys.version_info.major}.{sys.version_info.minor}"
        stubs = root / "python_backend_stubs"
        if not (stubs / version / STUB).is_file():
            known = ", ".join(sorted(path.name for path in stubs.iterdir()))
            raise TritonError(f"{WHEEL} has no Python backend for Python {version}, only for {known}")
        libraries = (site / "nvidia_pytriton.libs", libpython_folder())
        return cls(executable, root / "backends", root / "caches", libraries, stubs / version, shape_guard())

    def assemble_backends(self, folder: Path) -> Path:
        """Make a backend directory: Triton's own backends, and Endcap's ``onnxruntime`` if it has none.

        Args:
            folder: an empty folder; it is filled.

        Returns:
            The folder to give as ``--backend-directory``: Triton's own where nothing is missing.
        """
        if self.stubs is None and (self.backends / "onnxruntime").is_dir():
            return self.backends
        for backend in self.backends.iterdir():
            if backend.name not in ("python", "onnxruntime"):
                (folder / backend.name).symlink_to(backend)
        # Triton refuses a backend library whose real path lies outside the backend's folder: no links here.
        skipped = shutil.ignore_patterns("__pycache__", *([STUB] if self.stubs else []))
        shutil.copytree(self.backends / "python", folder / "python", ignore=skipped)
        if self.stubs is not None:
            shutil.copy2(self.stubs / STUB, folder / "python" / STUB)
        ours = self.backends / "onnxruntime"
        shutil.copytree(
            ours if ours.is_dir() else endcap_backends() / "onnxruntime",
            folder / "onnxruntime",
            ignore=skipped,
        )
        return folder

    def environment(self, base: Mapping[str, str]) -> dict[str, str]:
        """The environment of the server's process.

        The stub must find libpython, our packages (an editable installation's finder hooks are not run
        through PYTHONPATH, so their source folders are listed) and the running interpreter's prefix.
        Thread pools default to one thread: instances are the unit of parallelism, and pools of several
        processes on the same cores only wait for each other.
        """
        env = dict(base)
        env["LD_LIBRARY_PATH"] = _joined(*self.libraries, base.get("LD_LIBRARY_PATH"))
        if self.stubs is not None:
            env["PATH"] = _joined(Path(sys.executable).parent, base.get("PATH"))
            env["PYTHONPATH"] = _joined(*package_folders(), base.get("PYTHONPATH"))
        if self.guard is not None:
            env["LD_PRELOAD"] = _joined(self.guard, base.get("LD_PRELOAD"))
        for name, value in (("OMP_NUM_THREADS", "1"), ("TOKENIZERS_PARALLELISM", "false")):
            env.setdefault(name, value)
        return env


def package_folders() -> list[Path]:
    """Folders that together hold every package the models import."""
    folders = []
    for package in SERVED_PACKAGES:
        spec = importlib.util.find_spec(package)
        if spec is not None and spec.origin is not None:
            folders.append(Path(spec.origin).parent.parent)
    folders += [Path(sysconfig.get_path("purelib")), Path(sysconfig.get_path("platlib"))]
    return list(dict.fromkeys(folders))


def libpython_folder() -> Path:
    """The folder of the running Python's shared library, which the stub is linked to.

    Raises:
        TritonError: this Python has none.
    """
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    name = f"libpython{version}.so.1.0"
    libdir = Path(sysconfig.get_config_var("LIBDIR") or "/usr/lib")
    for folder in (libdir, libdir / str(sysconfig.get_config_var("MULTIARCH"))):
        if (folder / name).exists():
            return folder
    if ctypes.util.find_library(f"python{version}"):
        return libdir  # the dynamic linker knows it
    raise TritonError(
        f"{name} was not found in {libdir}: Triton's Python backend needs a shared Python "
        f"(Debian: apt install libpython{version}; pyenv: PYTHON_CONFIGURE_OPTS=--enable-shared)"
    )


def shape_guard() -> Path | None:
    """The library made of ``_shapes.c``, which says what it is for; None where no compiler was there."""
    spec = importlib.util.find_spec("endcap.triton._shapes")
    return Path(spec.origin) if spec is not None and spec.origin is not None else None


def endcap_backends() -> Path:
    """Folder of Endcap's backends: ``ENDCAP_BACKENDS``, else the checkout's ``backends``.

    Raises:
        TritonError: there is none.
    """
    named = os.environ.get("ENDCAP_BACKENDS")
    folder = Path(named) if named else Path(__file__).resolve().parents[2] / "backends"
    if not (folder / "onnxruntime" / "model.py").is_file():
        raise TritonError(f"{folder}: no onnxruntime backend; ENDCAP_BACKENDS names the folder that has it")
    return folder.resolve()


def _joined(*parts: Path | str | None) -> str:
    return os.pathsep.join(str(part) for part in parts if part)
