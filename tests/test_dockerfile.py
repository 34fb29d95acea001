"""There is no Docker engine in CI: what can be known without one is checked here."""

import fnmatch
import importlib.metadata
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from endcap.triton.installation import Installation, TritonError

ROOT = Path(__file__).resolve().parents[1]


def instructions():
    """(instruction, arguments) pairs with continued lines joined and comments left out."""
    lines = [
        line for line in (ROOT / "Dockerfile").read_text("utf-8").splitlines() if not line.startswith("#")
    ]
    text = "\n".join(lines).replace("\\\n", " ")
    return [tuple(line.split(None, 1)) for line in text.splitlines() if line.strip()]


def of(kind):
    return [arguments for name, arguments in instructions() if name == kind]


def copied():
    """Sources that come from the build context."""
    return [source for line in of("COPY") if "--from" not in line for source in line.split()[:-1]]


def ignored(path):
    """Whether .dockerignore keeps ``path`` from the builder; the last matching line decides."""
    out = False
    for line in (ROOT / ".dockerignore").read_text("utf-8").splitlines():
        pattern = line.strip()
        if not pattern or pattern.startswith("#"):
            continue
        negated, pattern = pattern.startswith("!"), pattern.lstrip("!")
        parts = Path(path).parts
        prefixes = ["/".join(parts[: n + 1]) for n in range(len(parts))]
        anywhere = pattern.removeprefix("**/")
        hit = any(
            fnmatch.fnmatchcase(prefix, pattern)
            or (pattern.startswith("**/") and fnmatch.fnmatchcase(prefix.rsplit("/", 1)[-1], anywhere))
            for prefix in prefixes
        )
        if hit:
            out = not negated
    return out


def test_every_copied_source_exists_and_reaches_the_builder():
    assert copied()
    for source in copied():
        assert (ROOT / source).exists(), source
        assert not ignored(source), source


def test_nothing_else_reaches_the_builder():
    for path in ("export/pyproject.toml", "tests/tiny.py", "build/demo-shop/products.jsonl", ".git/config"):
        assert ignored(path), path
    assert ignored("rerank/endcap_rerank/__pycache__/x.pyc")
    assert not ignored("rerank/endcap_rerank/schema.py")


def test_base_image_is_pinned_and_both_stages_share_it():
    (argument,) = of("ARG")
    assert re.fullmatch(r"TRITON=nvcr\.io/nvidia/tritonserver:\d\d\.\d\d-py3", argument)
    assert [line.split()[0] for line in of("FROM")] == ["${TRITON}", "${TRITON}"]


def test_packages_come_pinned_from_the_constraints():
    installs = [line for line in of("RUN") if "pip install" in line]
    assert installs
    for line in installs:
        assert "--constraint constraints.txt" in line
    pinned = {line.split("==")[0].casefold() for line in constraint_lines()}
    wanted = {requirement.name.casefold() for requirement in runtime_requirements("endcap-rerank")}
    assert wanted
    assert wanted <= pinned


def constraint_lines():
    lines = (ROOT / "constraints.txt").read_text("utf-8").splitlines()
    return [line for line in lines if line and not line.startswith("#")]


def runtime_requirements(distribution):
    listed = importlib.metadata.requires(distribution) or []
    requirements = [Requirement(text) for text in listed]
    return [r for r in requirements if r.marker is None or r.marker.evaluate({"extra": ""})]


def test_no_torch_is_installed():
    seen, waiting = set(), ["endcap-rerank"]
    while waiting:
        name = waiting.pop()
        if name in seen:
            continue
        seen.add(name)
        waiting += [requirement.name.casefold() for requirement in runtime_requirements(name)]
    assert {"numpy", "tokenizers"} <= seen
    assert not seen & {"torch", "transformers", "endcap-export", "endcap-client"}
    runs = " ".join(of("RUN") + of("ENTRYPOINT"))
    assert "torch" not in runs


def test_the_stub_finds_the_packages(tmp_path):
    """The stub's interpreter is isolated: a .pth file reaches it, PYTHONPATH would not."""
    assert not [line for line in of("ENV") if "PYTHONPATH" in line]
    (line,) = re.findall(r'echo "(import sys; [^"]+)"', " ".join(of("RUN")))
    packages, site = tmp_path / "packages", tmp_path / "site"
    (packages / "found_first").mkdir(parents=True)
    (packages / "found_first" / "__init__.py").write_text("")
    site.mkdir()
    (site / "endcap.pth").write_text(line.replace("/opt/endcap/packages", str(packages)) + "\n")
    code = f"import site, sys; site.addsitedir({str(site)!r}); import found_first; print(sys.path[0])"
    shown = subprocess.run([sys.executable, "-I", "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == str(packages)


def test_it_does_not_run_as_root_and_says_whether_it_is_ready():
    order = [name for name, _ in instructions()]
    assert of("USER") == ["triton-server"]
    assert order.index("USER") < order.index("ENTRYPOINT")
    assert not [line for name, line in instructions()[order.index("USER") :] if name == "RUN"]
    (check,) = of("HEALTHCHECK")
    assert "/v2/health/ready" in check
    assert of("VOLUME") == ["/state"]


def entrypoint():
    (line,) = of("ENTRYPOINT")
    return json.loads(line)


def test_flags_of_the_entrypoint_are_known_to_tritonserver():
    try:
        installation = Installation.find()
    except TritonError as error:
        pytest.skip(str(error))
    program, *flags = entrypoint()
    assert program == "tritonserver"
    shown = subprocess.run(
        [installation.executable, "--help"],
        env=installation.environment(os.environ),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    known = set(re.findall(r"^\s*(--[a-z-]+)", shown.stdout + shown.stderr, flags=re.MULTILINE))
    for flag in flags:
        assert flag.split("=")[0] in known, flag


def test_the_image_serves_as_the_launcher_does():
    flags = dict(flag.partition("=")[::2] for flag in entrypoint()[1:])
    launcher = (ROOT / "endcap" / "launcher.py").read_text("utf-8")
    assert flags["--model-repository"] == "/repository/models"
    for name, value in flags.items():
        assert f'"{name.removeprefix("--")}"' in launcher, name
        if name in ("--model-control-mode", "--load-model", "--strict-readiness"):
            assert f'"{name.removeprefix("--")}": "{value}"' in launcher
