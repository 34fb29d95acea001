"""There is no Docker engine in CI: what can be known without one is checked here."""

import fnmatch
import importlib.metadata
import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parents[1]


FILES = ("Dockerfile", "Dockerfile.cpu")


def instructions(file):
    """(instruction, arguments) pairs with continued lines joined and comments left out."""
    lines = [line for line in (ROOT / file).read_text("utf-8").splitlines() if not line.startswith("#")]
    text = "\n".join(lines).replace("\\\n", " ")
    return [tuple(line.split(None, 1)) for line in text.splitlines() if line.strip()]


def stage(file, name):
    """The instructions of one stage, without those before the first."""
    found, here = [], False
    for kind, arguments in instructions(file):
        if kind == "FROM":
            here = arguments.split()[-1] == name
        elif here:
            found.append((kind, arguments))
    assert found, name
    return found


def of(kind, listed):
    return [arguments for name, arguments in listed if name == kind]


def copied(file):
    """Sources that come from the build context."""
    lines = [line for line in of("COPY", instructions(file)) if "--from" not in line]
    return [source for line in lines for source in line.split()[:-1]]


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


@pytest.mark.parametrize("file", FILES)
def test_every_copied_source_exists_and_reaches_the_builder(file):
    assert copied(file)
    for source in copied(file):
        assert (ROOT / source).exists(), source
        assert not ignored(source), source


def test_nothing_else_reaches_the_builder():
    for path in (
        "tests/tiny.py",
        "build/demo-shop/products.jsonl",
        ".git/config",
        "deploy/compose/keys/keys.yaml",
    ):
        assert ignored(path), path
    assert ignored("rerank/endcap_rerank/__pycache__/x.pyc")
    assert ignored("client/build/lib/endcap_client/client.py")
    assert not ignored("rerank/endcap_rerank/schema.py")
    assert not ignored("export/endcap_export/build.py")


@pytest.mark.parametrize("file", FILES)
def test_stages_copy_from_stages_that_are_there(file):
    names = {line.split()[-1] for line in of("FROM", instructions(file))}
    for line in of("COPY", instructions(file)):
        if line.startswith("--from="):
            assert line.split()[0].removeprefix("--from=") in names


def pinned_bases(file, *patterns):
    """The base images of a Dockerfile, whose first ARGs match the patterns and are all it builds from."""
    bases = []
    for (name, argument), pattern in zip(instructions(file), patterns, strict=False):
        assert name == "ARG"
        assert re.fullmatch(pattern, argument)
        bases.append(argument.partition("=")[::2])
    assert {line.split()[0] for line in of("FROM", instructions(file))} == {
        f"${{{name}}}" for name, _ in bases
    }
    return [image for _, image in bases]


def test_base_images_are_pinned_and_stages_share_them():
    pinned_bases("Dockerfile", r"TRITON=nvcr\.io/nvidia/tritonserver:\d\d\.\d\d-py3")
    slim, full = pinned_bases(
        "Dockerfile.cpu",
        r"PYTHON=python:3\.12\.\d+-slim-\w+",
        r"PYTHON_COMPILER=python:3\.12\.\d+-\w+",
    )
    assert full == slim.replace("-slim", "")  # what one compiles runs in the other


@pytest.mark.parametrize("file", FILES)
def test_packages_come_pinned_from_the_constraints(file):
    installs = [line for line in of("RUN", instructions(file)) if "pip install" in line]
    installs = [*installs, *(line for line in of("RUN", instructions(file)) if "-m pip" in line)]
    assert installs
    for line in installs:
        assert "--constraint constraints.txt" in line
    pinned = {line.split("==")[0].casefold() for line in constraint_lines()}
    wanted = {requirement.name.casefold() for requirement in served_requirements()}
    assert {"numpy", "tokenizers", "redis", "typer"} <= wanted
    assert wanted <= pinned


def constraint_lines():
    lines = (ROOT / "constraints.txt").read_text("utf-8").splitlines()
    return [line for line in lines if line and not line.startswith("#")]


def served_requirements(*, cpu=False):
    """What the images install from outside, as the projects' own files say it."""
    found = []
    for folder, extras in (
        ("client", ()),
        ("rerank", ("redis",)),
        ("export", ()),
        (".", ("serve",) if cpu else ()),
    ):
        project = tomllib.loads((ROOT / folder / "pyproject.toml").read_text("utf-8"))["project"]
        listed = [*project["dependencies"], *(r for e in extras for r in project["optional-dependencies"][e])]
        found += [Requirement(text) for text in listed if not text.startswith("endcap-")]
    return found


def test_no_torch_is_installed():
    seen, waiting = set(), ["endcap", "endcap-client", "endcap-rerank", "endcap-export"]
    while waiting:
        name = waiting.pop()
        if name in seen:
            continue
        seen.add(name)
        listed = [Requirement(text) for text in importlib.metadata.requires(name) or []]
        waiting += [r.name.casefold() for r in listed if r.marker is None or r.marker.evaluate({"extra": ""})]
    assert {"numpy", "tokenizers", "onnxruntime", "typer"} <= seen
    assert not seen & {"torch", "transformers", "tensorrt", "locust"}
    for file in FILES:
        for name in ("packages", "serve"):
            assert "torch" not in " ".join(of("RUN", stage(file, name)))
            assert "[train" not in " ".join(of("RUN", stage(file, name)))


def test_the_packages_resolve_for_the_python_and_the_glibc_of_the_images(tmp_path):
    """Those of the CPU image, which are the other's and tritonserver, for the older of the two glibcs.

    Debian 12 under the slim Python has 2.36, Ubuntu 24.04 in NVIDIA's container 2.39.
    """
    platforms = [f"manylinux_2_{minor}_x86_64" for minor in range(36, 4, -1)]
    platforms += ["manylinux2014_x86_64", "manylinux2010_x86_64", "manylinux1_x86_64"]
    command = [
        sys.executable,
        "-m",
        "pip",
        "install",
        "--dry-run",
        "--ignore-installed",
        "--report=-",
        "--quiet",
    ]
    command += ["--python-version=3.12", "--implementation=cp", "--only-binary=:all:", f"--target={tmp_path}"]
    command += [f"--platform={name}" for name in platforms] + ["--constraint", str(ROOT / "constraints.txt")]
    command += [str(requirement) for requirement in served_requirements(cpu=True)]
    shown = subprocess.run(command, capture_output=True, text=True, check=False)
    if re.search(
        r"NewConnectionError|Temporary failure in name resolution|Network is unreachable", shown.stderr
    ):
        pytest.skip("no package index can be reached")
    assert shown.returncode == 0, shown.stderr
    packages = {p["metadata"]["name"].casefold(): p for p in json.loads(shown.stdout)["install"]}
    assert {"numpy", "faiss-cpu", "onnxruntime", "nvidia-pytriton"} <= set(packages)
    assert packages["numpy"]["metadata"]["version"].startswith("1.")
    assert not set(packages) & {"torch", "transformers"}


def test_the_stub_finds_the_packages(tmp_path):
    """The stub's interpreter is isolated: a .pth file reaches it, PYTHONPATH would not."""
    serve = stage("Dockerfile", "serve")
    assert not [line for line in of("ENV", serve) if "PYTHONPATH" in line]
    (line,) = re.findall(r'echo "(import sys; [^"]+)"', " ".join(of("RUN", serve)))
    packages, site = tmp_path / "packages", tmp_path / "site"
    (packages / "found_first").mkdir(parents=True)
    (packages / "found_first" / "__init__.py").write_text("")
    site.mkdir()
    (site / "endcap.pth").write_text(line.replace("/opt/endcap/packages", str(packages)) + "\n")
    code = f"import site, sys; site.addsitedir({str(site)!r}); import found_first; print(sys.path[0])"
    shown = subprocess.run([sys.executable, "-I", "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == str(packages)


@pytest.mark.parametrize("file", FILES)
def test_it_does_not_run_as_root_and_says_whether_it_is_ready(file):
    serve = stage(file, "serve")
    assert [line for name, line in instructions(file) if name == "FROM"][-1].endswith("serve")
    order = [name for name, _ in serve]
    (user,) = of("USER", serve)
    assert user not in ("root", "0")
    assert order.index("USER") < order.index("ENTRYPOINT")
    assert not [line for name, line in serve[order.index("USER") :] if name == "RUN"]
    (check,) = of("HEALTHCHECK", serve)
    assert "/v2/health/ready" in check
    assert of("VOLUME", serve) == ["/state"]
    (labels,) = of("LABEL", serve)
    for label in ("title", "licenses", "version", "revision", "base.name"):
        assert f"org.opencontainers.image.{label}=" in labels


@pytest.mark.parametrize("file", FILES)
def test_options_of_the_entrypoint_are_those_of_endcap_serve(file):
    from typer.main import get_command

    from endcap.cli import app

    (line,) = of("ENTRYPOINT", stage(file, "serve"))
    program, command, *flags = json.loads(line)
    assert (program, command) == ("endcap", "serve")
    offered = {option for parameter in get_command(app).commands["serve"].params for option in parameter.opts}
    assert {flag.partition("=")[0] for flag in flags} <= offered
    given = dict(flag.partition("=")[::2] for flag in flags)
    assert given["--repository"] == "/repository"
    assert given["--state"] in of("VOLUME", stage(file, "serve"))
    # Without it the server would log into the repository, which is mounted read-only.
    assert "--verbose" in given


@pytest.mark.parametrize("file", FILES)
def test_exposed_ports_are_those_that_are_listened_on(file):
    serve = stage(file, "serve")
    (line,) = of("ENTRYPOINT", serve)
    (exposed,) = of("EXPOSE", serve)
    assert exposed.split() == re.findall(r"-port=(\d+)", line)
    (check,) = of("HEALTHCHECK", serve)
    assert f":{exposed.split()[0]}/" in check


def test_the_rehearsal_knows_every_instruction_of_the_cpu_image(tmp_path):
    """deploy/rehearse.py is run by hand (minutes); here it is held against a change of the file."""
    sys.path.insert(0, str(ROOT / "deploy"))
    try:
        import rehearse
    finally:
        sys.path.pop(0)
    assert rehearse.instructions(ROOT / "Dockerfile.cpu") == [
        (name, arguments.strip()) for name, arguments in instructions("Dockerfile.cpu")
    ]
    file = tmp_path / "Dockerfile"
    lines = ["FROM base AS one", "RUN echo made > /opt/made", "FROM base AS two", "COPY --from=one /opt /opt"]
    lines += ["ENV WHERE=/opt/made", "RUN test $(cat /opt/made) = made && test -f $WHERE", "USER nobody"]
    file.write_text("\n".join([*lines, 'ENTRYPOINT ["run", "--at=/state"]']) + "\n")
    (tmp_path / "root" / "one" / "opt").mkdir(parents=True)
    built, entrypoint, skipped = rehearse.build(file, tmp_path / "root", sys.executable)
    assert entrypoint == ["run", f"--at={built.root}/state"]
    assert skipped == ["USER nobody"]
    file.write_text("FROM base AS one\nSHELL x\n")
    with pytest.raises(SystemExit, match="SHELL"):
        rehearse.build(file, tmp_path / "other", sys.executable)
