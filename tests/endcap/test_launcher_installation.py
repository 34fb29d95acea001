"""Which tritonserver is used, and what is put around it."""

import os
import shutil
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from endcap_rerank.errors import EndcapError

from endcap.triton import log
from endcap.triton.installation import (
    STUB,
    Installation,
    TritonError,
    endcap_backends,
    package_folders,
    shape_guard,
)


@pytest.fixture
def on_path(tmp_path):
    """A folder laid out as /opt/tritonserver in NVIDIA's container."""
    executable = tmp_path / "bin" / "tritonserver"
    executable.parent.mkdir()
    executable.write_text("#!/bin/sh\n")
    executable.chmod(0o755)
    for backend in ("python", "tensorrt"):
        (tmp_path / "backends" / backend).mkdir(parents=True)
    for name in (STUB, "libtriton_python.so", "triton_python_backend_utils.py"):
        (tmp_path / "backends" / "python" / name).write_text(name)
    return tmp_path


def test_server_on_path_comes_first(on_path):
    found = Installation.find({"PATH": str(on_path / "bin")})
    assert found.executable == on_path / "bin" / "tritonserver"
    assert found.backends == on_path / "backends"
    assert "PYTHONPATH" not in found.environment({})


def test_container_with_its_own_onnxruntime_is_left_alone(on_path, tmp_path):
    (on_path / "backends" / "onnxruntime").mkdir()
    (folder := tmp_path / "made").mkdir()
    assert Installation.find({"PATH": str(on_path / "bin")}).assemble_backends(folder) == on_path / "backends"
    assert list(folder.iterdir()) == []


def test_server_without_onnxruntime_gets_endcaps(on_path, tmp_path):
    (folder := tmp_path / "made").mkdir()
    assert Installation.find({"PATH": str(on_path / "bin")}).assemble_backends(folder) == folder
    assert sorted(path.name for path in folder.iterdir()) == ["onnxruntime", "python", "tensorrt"]
    assert (folder / "python" / STUB).read_text() == STUB
    ours = endcap_backends() / "onnxruntime" / "model.py"
    assert (folder / "onnxruntime" / "model.py").read_text() == ours.read_text()


def test_wheel_is_used_without_importing_it(tmp_path):
    loaded = set(sys.modules)
    found = Installation.find({"PATH": str(tmp_path)})
    assert found.executable.is_file()
    assert "pytriton" not in set(sys.modules) - loaded
    made = found.assemble_backends(tmp_path)
    stub = made / "python" / STUB
    assert os.access(stub, os.X_OK)
    # Triton refuses a backend library whose real path is elsewhere.
    assert not (made / "python" / "libtriton_python.so").is_symlink()
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    assert found.stubs is not None
    assert found.stubs.name == version


def test_environment_keeps_what_the_operator_set(tmp_path):
    env = Installation.find({"PATH": str(tmp_path)}).environment(
        {"OMP_NUM_THREADS": "4", "PYTHONPATH": "/mine"}
    )
    assert env["OMP_NUM_THREADS"] == "4"
    assert env["TOKENIZERS_PARALLELISM"] == "false"
    assert env["PYTHONPATH"].endswith(":/mine")
    assert all(Path(folder).is_dir() for folder in env["LD_LIBRARY_PATH"].split(":"))


def test_only_the_wheels_server_is_guarded(on_path, tmp_path):
    (empty := tmp_path / "empty").mkdir()
    container, wheel = (Installation.find({"PATH": str(folder)}) for folder in (on_path / "bin", empty))
    assert not container.unguarded
    assert "LD_PRELOAD" not in container.environment({})
    assert wheel.guard == shape_guard()
    without = replace(wheel, guard=None)
    assert without.unguarded
    assert "LD_PRELOAD" not in without.environment({})
    library = tmp_path / "_shapes.so"
    guarded = replace(wheel, guard=library)
    assert not guarded.unguarded
    assert guarded.environment({"LD_PRELOAD": "/mine.so"})["LD_PRELOAD"] == f"{library}:/mine.so"


def test_the_guard_is_there_where_a_compiler_is():
    if not shutil.which("cc"):
        pytest.skip("no C compiler")
    assert shape_guard() is not None


def test_package_folders_hold_the_editable_package():
    assert any((folder / "endcap_rerank" / "schema.py").is_file() for folder in package_folders())


def test_backends_folder_without_the_backend_is_named(monkeypatch, tmp_path):
    monkeypatch.setenv("ENDCAP_BACKENDS", str(tmp_path))
    with pytest.raises(TritonError, match="ENDCAP_BACKENDS"):
        endcap_backends()
    assert issubclass(TritonError, EndcapError)


LOG = """\
W1124 07:51:10.220279 17240 pinned_memory_manager.cc:273] "Unable to allocate pinned memory: CUDA driver"
E1124 07:51:10.220386 17240 server.cc:241] "CudaDriverHelper has not been initialized."
I1124 07:51:13.141489 17240 model_lifecycle.cc:839] "successfully loaded 'encode'"
E1124 07:51:14.003000 17240 model_lifecycle.cc:642] "failed to load 'rerank' version 1: the shelf is empty"
I1124 07:51:14.104000 17240 server.cc:676]
+--------+---------+---------------------------------+
| Model  | Version | Status                          |
+--------+---------+---------------------------------+
| rerank | 1       | UNAVAILABLE: the shelf is empty |
+--------+---------+---------------------------------+

error: creating server: Internal - failed to load all models
"""


def test_failure_keeps_tritons_reason_and_drops_what_every_cpu_server_says():
    said = log.failure(LOG)
    assert "failed to load 'rerank' version 1: the shelf is empty" in said
    assert "| rerank | 1       | UNAVAILABLE" in said
    assert "error: creating server" in said
    assert "Cuda" not in said
    assert "successfully" not in said
    assert log.loaded_models(LOG) == ["encode"]


def test_log_without_errors_is_shown_by_its_end():
    assert log.failure("one\ntwo\nthree", limit=2) == "two\nthree"
