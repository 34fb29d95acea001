"""The README's commands and code, run as they stand there."""

import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text("utf-8")
BIN = Path(sys.executable).parent


def block(name):
    """The code block below ``<!-- test: NAME -->``."""
    found = re.search(rf"<!-- test: {name} -->\n```\w+\n(.*?)```", README, flags=re.DOTALL)
    assert found, name
    return found.group(1)


def blocks():
    return re.findall(r"```(\w+)\n(.*?)```", README, flags=re.DOTALL)


def environment():
    return {**os.environ, "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}", "COLUMNS": "200"}


def commands(text):
    lines = text.replace("\\\n", " ").splitlines()
    return [line.split("#")[0].strip() for line in lines if line.split("#")[0].strip()]


def test_every_block_is_run_here():
    named = {block(name) for name in ("shop", "sdk", "install")}
    for language, text in blocks():
        assert text in named or all(line.startswith("make ") for line in commands(text)), (language, text)


def test_make_knows_the_verbs():
    verbs = [line for language, text in blocks() if language == "sh" for line in commands(text)]
    verbs = [line for line in verbs if line.startswith("make ")]
    assert {"make demo", "make serve"} <= set(verbs)
    for line in verbs:
        shown = subprocess.run(
            [*line.split(), "--dry-run", f"VENV={BIN.parent}"],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
        )
        assert shown.returncode == 0, shown.stderr
        assert "endcap demo" in shown.stdout


@pytest.mark.train
def test_a_shop_of_ones_own_is_built_served_and_asked(tmp_path):
    pytest.importorskip("torch", reason="building a release trains")
    *before, serve = commands(block("shop"))
    assert serve.startswith("endcap serve")
    for line in before:
        made = subprocess.run(
            line, shell=True, cwd=tmp_path, env=environment(), capture_output=True, text=True, check=False
        )
        assert made.returncode == 0, f"{line}\n{made.stdout}\n{made.stderr}"
    server = subprocess.Popen(
        serve.split(), cwd=tmp_path, env=environment(), stdout=subprocess.PIPE, text=True, encoding="utf-8"
    )
    try:
        ready = server.stdout.readline()
        address = re.search(r"gRPC (\S+?),", ready)
        assert address, ready
        code = block("sdk").replace("localhost:8001", address.group(1))
        assert address.group(1) in code
        asked = subprocess.run(
            [sys.executable, "-c", code], env=environment(), capture_output=True, text=True, check=False
        )
        assert asked.returncode == 0, asked.stderr
        *found, recommended, similar = asked.stdout.splitlines()
        assert len(found) == 5
        assert all(re.match(r"P\d+ [\d.]+ \S", line) for line in found), found
        assert recommended.count("P1") == 5
        assert similar.count("P1") == 5
    finally:
        server.send_signal(signal.SIGTERM)
        assert server.wait(60) == 0


def test_the_sdk_installs_alone(tmp_path):
    (line,) = commands(block("install"))
    assert line == "pip install ./client"
    shutil.copytree(
        ROOT / "client", tmp_path / "client", ignore=shutil.ignore_patterns("build", "*.egg-info")
    )
    target = tmp_path / "packages"
    installed = subprocess.run(
        [sys.executable, "-m", "pip", *line.split()[1:], "--quiet", "--no-deps", "--target", str(target)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert installed.returncode == 0, installed.stderr
    path = f"import sys; sys.path.insert(0, {str(target)!r})"
    code = f"{path}; import endcap_client; print(endcap_client.__file__)"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert Path(shown.stdout.strip()).is_relative_to(target)
