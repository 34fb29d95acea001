"""``--normalize`` and ``--adapt``: what they do to a trained encoder, and what they refuse."""

from __future__ import annotations

import json
import shutil

import pytest
from tokenizers import Tokenizer
from typer.testing import CliRunner

pytest.importorskip("torch")
pytestmark = pytest.mark.train

from endcap.cli import app  # noqa: E402


def run(*arguments):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture(scope="module")
def made(tmp_path_factory, shop_folder, tiny_base):
    """An encoder that was trained with both options for three steps."""
    folder = tmp_path_factory.mktemp("options")
    base = shutil.copytree(tiny_base, folder / "base")
    file = base / "tokenizer_config.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), "mask_token": "[MASK]"}))
    done = run("train", "--data", shop_folder, "--base", base, "--output", folder / "encoder",
               "--max-steps", 3, "--normalize", "width,simplified", "--adapt")  # fmt: skip
    assert done.exit_code == 0, done.output
    return folder / "encoder"


def test_the_record_names_the_options_and_the_tokenizer_has_the_map(made):
    record = json.loads((made / "endcap.json").read_text())
    assert record["normalize"] == ["width", "simplified"]
    assert record["base"] == str(made / "adapted")
    tokenizer = Tokenizer.from_file(str(made / "tokenizer.json"))
    assert tokenizer.encode("ｒｅｄ tent").ids == tokenizer.encode("red tent").ids
    assert json.loads((made / "adapted" / "adapted.json").read_text())["steps"] > 0


@pytest.mark.parametrize("command", ["train", "build"])
def test_another_normalization_is_refused_before_any_work(command, tmp_path, shop_folder, tiny_base):
    done = run(command, "--data", shop_folder, "--base", tiny_base, "--normalize", "nfkc",
               "--output" if command == "train" else "--repository", tmp_path / "made")  # fmt: skip
    assert done.exit_code == 1
    assert "normalize: got 'nfkc'; width, simplified or both are expected" in done.output
    assert not (tmp_path / "made").exists()


def test_a_run_of_several_processes_or_a_resumed_one_does_not_adapt(monkeypatch, tmp_path, shop_folder):
    done = run("train", "--data", shop_folder, "--output", tmp_path / "made", "--adapt", "--resume")
    assert done.exit_code == 1
    assert "--adapt: got True; the run to resume has its base" in done.output
    monkeypatch.setenv("WORLD_SIZE", "2")
    done = run("train", "--data", shop_folder, "--output", tmp_path / "made", "--adapt")
    assert done.exit_code == 1
    assert "--adapt: got True; one process is expected" in done.output
