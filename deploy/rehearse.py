"""Run the steps of Dockerfile.cpu without a Docker engine, up to a ready server that answers.

    python deploy/rehearse.py --python python3.12 --repository build/repository

Each stage gets a folder that stands for its root. COPY copies, RUN runs, with `/opt`, `/build`, `/repository`
and `/state` of the command standing for those below the folder; ENV is what the commands see. What needs a
root of its own (USER, useradd) is left out and named at the end. Each line says how long a step took.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
INSIDE = re.compile(r"(?<![\w.])/(?=(?:opt|build|repository|state)\b)")
NEEDS_A_ROOT = ("useradd",)


def instructions(file: Path) -> list[tuple[str, str]]:
    """(instruction, arguments) pairs of a Dockerfile, continued lines joined, comments left out."""
    lines = [line for line in file.read_text("utf-8").splitlines() if not line.startswith("#")]
    text = "\n".join(lines).replace("\\\n", " ")
    pairs = [line.partition(" ")[::2] for line in text.splitlines() if line]
    return [(name, arguments.strip()) for name, arguments in pairs]


class Stage:
    """A folder that stands for the root of one stage."""

    def __init__(self, root: Path, python: str) -> None:
        self.root = root
        self.work = root
        # The base image's Python, and nothing else of this machine's environments.
        self.env = {name: value for name, value in os.environ.items() if name.startswith("PIP_")}
        self.env |= {"PATH": f"{Path(python).parent}:/usr/bin:/bin", "LANG": "C.UTF-8"}
        root.mkdir(parents=True, exist_ok=True)

    def inside(self, text: str) -> str:
        """A text with the image's paths replaced by those below the folder."""
        return INSIDE.sub(f"{self.root}/", text)

    def run(self, command: str) -> None:
        subprocess.run(["bash", "-euc", self.inside(command)], cwd=self.work, env=self.env, check=True)

    def set(self, arguments: str) -> None:
        for name, value in re.findall(r"(\w+)=(\S+)", arguments):
            self.env[name] = self.inside(value).replace("${PATH}", self.env["PATH"])


def build(file: Path, folder: Path, python: str) -> tuple[Stage, list[str], list[str]]:
    """Carry out a Dockerfile.

    Returns:
        The last stage, its entrypoint, and the steps that were left out.
    """
    stages: dict[str, Stage] = {}
    skipped: list[str] = []
    entrypoint: list[str] = []
    stage: Stage | None = None
    for name, arguments in instructions(file):
        began = time.monotonic()
        if name == "FROM":
            key = arguments.split()[-1]
            stage = stages[key] = Stage(folder / key, python)
            continue
        if stage is None or name in ("ARG", "LABEL", "EXPOSE", "VOLUME", "HEALTHCHECK"):
            continue
        if name == "WORKDIR":
            stage.work = Path(stage.inside(arguments))
            stage.work.mkdir(parents=True, exist_ok=True)
        elif name == "ENV":
            stage.set(arguments)
        elif name == "ENTRYPOINT":
            entrypoint = [stage.inside(word) for word in json.loads(arguments)]
        elif name == "USER" or any(word in arguments for word in NEEDS_A_ROOT):
            skipped.append(f"{name} {arguments}")
            for path in ("repository", "state"):
                (stage.root / path).mkdir(exist_ok=True)
        elif name == "COPY":
            copy(stage, stages, arguments)
        elif name == "RUN":
            stage.run(arguments)
            print(f"{time.monotonic() - began:7.1f} s  RUN {' '.join(arguments.split())[:90]}", flush=True)
        else:
            raise SystemExit(f"{file.name}: {name} is not known here")
    assert stage is not None
    return stage, entrypoint, skipped


def copy(stage: Stage, stages: dict[str, Stage], arguments: str) -> None:
    """COPY, from the checkout or from another stage."""
    words = arguments.split()
    source_root, target = ROOT, Path(stage.inside(words[-1]))
    if words[0].startswith("--from="):
        other = stages[words.pop(0).removeprefix("--from=")]
        # A venv knows its own path: where it was made and where it is used must be one, as in the image.
        link = stage.root / words[0].lstrip("/")
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(other.root / words[0].lstrip("/"))
        return
    for word in words[:-1]:
        source = source_root / word
        into = stage.work / target if not target.is_absolute() else target
        if source.is_dir():
            left_out = shutil.ignore_patterns("__pycache__", "*.egg-info", "build")
            shutil.copytree(source, into, ignore=left_out, dirs_exist_ok=True)
        else:
            into.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, into)


def serve(stage: Stage, entrypoint: list[str], repository: Path, extra: list[str]) -> None:
    """Start the entrypoint on a read-only copy of the repository, ask it, stop it."""
    shutil.rmtree(stage.root / "repository")
    shutil.copytree(repository, stage.root / "repository", symlinks=True)
    ports = {"8000": "18000", "8001": "18001", "8002": "18002"}
    command = [re.sub(r"=(800[0-2])$", lambda m: f"={ports[m[1]]}", word) for word in entrypoint] + extra
    command[0] = shutil.which(command[0], path=stage.env["PATH"]) or command[0]
    stage.env["ENDCAP_ADMIN_KEY"] = "of-the-rehearsal-alone"
    began = time.monotonic()
    with (stage.root / "log").open("wb") as log:
        process = subprocess.Popen(command, cwd="/", env=stage.env, stdout=log, stderr=log)
    try:
        while not asked("http://127.0.0.1:18000/v2/health/ready"):
            if process.poll() is not None or time.monotonic() - began > 120:
                raise SystemExit((stage.root / "log").read_text(errors="replace")[-4000:])
            time.sleep(0.2)
        print(f"{time.monotonic() - began:7.1f} s  from the entrypoint to ready", flush=True)
        tensor = {"name": "query", "datatype": "BYTES", "shape": [1, 1], "data": ["lamp"]}
        body = json.dumps({"inputs": [tensor], "outputs": [{"name": "item_id"}]}).encode()
        answer = asked("http://127.0.0.1:18000/v2/models/search/infer", body)
        if not answer:
            raise SystemExit("the server is ready and does not answer a search")
        print(f"           a search is answered: {json.loads(answer)['outputs'][0]['data'][:3]} …")
    finally:
        process.send_signal(signal.SIGTERM)
        began = time.monotonic()
        status = process.wait(90)
    print(f"{time.monotonic() - began:7.1f} s  from SIGTERM to the end, exit status {status}")
    if status:
        raise SystemExit(1)


def asked(url: str, body: bytes | None = None) -> bytes:
    """The body of an answer with status 200, empty otherwise; health has an empty one and counts as b'ok'."""
    try:
        with urllib.request.urlopen(url, body, timeout=10) as answer:
            return answer.read() or b"ok"
    except (urllib.error.URLError, OSError):
        return b""


def main() -> None:
    """Command line."""
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    options.add_argument("--python", default="python3.12", help="stands for the base image's Python")
    options.add_argument("--repository", type=Path, required=True, help="what `endcap register` wrote")
    options.add_argument(
        "--triton-option", action="append", default=["--exit-timeout-secs=30"], help="as deploy/ gives it"
    )
    given = options.parse_args()
    python = shutil.which(given.python)
    if python is None:
        raise SystemExit(f"{given.python} was not found")
    if not (given.repository / "models").is_dir():
        raise SystemExit(f"{given.repository} has no models/: `endcap build` or `endcap register` makes one")
    with tempfile.TemporaryDirectory(prefix="endcap-rehearsal-") as folder:
        # `python3` in the Dockerfile is the base image's.
        names = Path(folder, "bin")
        names.mkdir()
        (names / "python3").symlink_to(os.path.realpath(python))
        began = time.monotonic()
        stage, entrypoint, skipped = build(ROOT / "Dockerfile.cpu", Path(folder), str(names / "python3"))
        packages = stage.root / "opt/endcap/venv"
        size = sum(file.stat().st_size for file in packages.resolve().rglob("*") if file.is_file())
        print(f"{time.monotonic() - began:7.1f} s  all steps; {size / 2**20:.0f} MiB of packages")
        serve(stage, entrypoint, given.repository, ["--", *given.triton_option])
        for step in skipped:
            print(f"left out: {step}")


if __name__ == "__main__":
    sys.exit(main())
