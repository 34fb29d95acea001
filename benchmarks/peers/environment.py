"""The peers' own virtual environment: what they need is never installed into Endcap's."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

REQUIREMENTS = Path(__file__).with_name("requirements.txt")
VENV = Path("build/peers-venv")
STAMP = "requirements.sha256"


def pins(file: Path = REQUIREMENTS) -> dict[str, str]:
    """Name → version of every requirement.

    Raises:
        ValueError: one is not pinned to a version.
    """
    found: dict[str, str] = {}
    for line in file.read_text("utf-8").splitlines():
        if not line.strip() or line.startswith("#"):
            continue
        name, sign, version = line.partition("==")
        if not sign or not version.strip() or any(mark in version for mark in "*,;<>"):
            raise ValueError(f"{file.name}: {line!r}; NAME==VERSION is expected")
        found[name.strip().lower()] = version.strip()
    return found


def ensure(venv: Path = VENV, told: Callable[[str], None] = lambda text: None) -> Path:
    """The environment's ``bin`` folder; made and filled where it is missing or of other requirements.

    A package that cannot be installed is left out and told; the peers that need it will not import.
    """
    wanted = hashlib.sha256(REQUIREMENTS.read_bytes()).hexdigest()
    stamp, binaries = venv / STAMP, venv.resolve() / "bin"
    if stamp.is_file() and stamp.read_text("utf-8").strip() == wanted:
        return binaries
    told(f"the peers' environment, {venv}: {len(pins())} packages, about 2 GiB")
    if not (binaries / "python").exists():
        subprocess.run([sys.executable, "-m", "venv", str(venv)], check=True)
    # The file names everything down to the last dependency, so nothing is left to resolve.
    install = [str(binaries / "python"), "-m", "pip", "install", "--quiet", "--no-deps"]
    install += ["--disable-pip-version-check"]
    if subprocess.run([*install, "-r", str(REQUIREMENTS)], check=False).returncode != 0:
        told("one by one, since together they could not be installed")
        for name, version in pins().items():
            one = [*install, f"{name}=={version}"]
            if subprocess.run(one, check=False).returncode != 0:
                told(f"{name} {version} could not be installed")
        return binaries  # without the stamp: the next run tries again
    stamp.write_text(wanted + "\n", "utf-8")
    return binaries


def missing(binaries: Path, packages: Iterable[str]) -> list[str]:
    """Those of the packages that are not in the environment.

    They are looked for, not imported, which takes half a minute for all: what is there and broken shows when
    a peer starts.
    """
    program = "import sys; from importlib.util import find_spec\n"
    program += "print(*[name for name in sys.argv[1:] if find_spec(name) is None])"
    command = [str(binaries / "python"), "-c", program, *dict.fromkeys(packages)]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
