"""``endcap train`` as a shop runs it: a search, two processes, a wrong option."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

pytest.importorskip("torch")
pytestmark = pytest.mark.train

from endcap_export.search import search  # noqa: E402
from endcap_export.train import TrainingSettings  # noqa: E402
from endcap_export.trained import TrainedEncoder, train_encoder  # noqa: E402
from endcap_export.training_config import TrainingConfig, read_config  # noqa: E402
from endcap_rerank.errors import InvalidInputError  # noqa: E402
from safetensors.torch import load_file  # noqa: E402
from typer.testing import CliRunner  # noqa: E402

from endcap.cli import app  # noqa: E402

SHORT = {"max_steps": 3, "batch_size": 8, "tag_batch_size": 8, "precision": "fp32", "report_to": "none"}


def options(shop_folder, base, output, **values):
    assigned = [f"--set={name}={value}" for name, value in {**SHORT, **values}.items()]
    return ["train", f"--data={shop_folder}", f"--base={base}", f"--output={output}", *assigned]


def test_a_search_tries_tells_and_trains_with_the_best(shop_folder, tiny_base, tmp_path):
    pytest.importorskip("optuna")
    file = tmp_path / "run.toml"
    file.write_text("[search]\nlearning_rate = [1e-6, 1e-2]\nbatch_size = [4, 12]\n")
    output = tmp_path / "encoder"
    arguments = [*options(shop_folder, tiny_base, output), f"--config={file}", "--search=2"]
    arguments.remove("--set=batch_size=8")
    result = CliRunner().invoke(app, arguments, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    trials = json.loads((output / "search.json").read_text())
    assert sorted(trial["number"] for trial in trials) == [0, 1]
    assert trials[0]["held"] == max(trial["held"] for trial in trials)
    assert trials[0]["values"] != trials[1]["values"]
    best = read_config(output / "best.toml")
    used = read_config(output / "config.toml")
    assert best.training == used.training
    chosen = {name: getattr(used.training, name) for name in trials[0]["values"]}
    assert chosen == trials[0]["values"]
    record = TrainedEncoder.open(output).record
    assert record["training"]["held"][-1]["held"] == trials[0]["held"]
    assert record["training"]["steps"] == 3


def test_a_search_needs_something_to_choose_by(shop, tiny_base, tmp_path):
    config = TrainingConfig(base=str(tiny_base), training=TrainingSettings(evaluate="never"))
    with pytest.raises(InvalidInputError, match="evaluate: got 'never'; epoch or steps is expected"):
        search(shop, config, 2, tmp_path)
    with pytest.raises(InvalidInputError, match=r"search: got \{\}; at least one hyperparameter"):
        search(shop, TrainingConfig(search={}), 2, tmp_path)


def test_a_wrong_option_ends_with_what_is_right(shop_folder, tiny_base, tmp_path):
    result = CliRunner().invoke(app, options(shop_folder, tiny_base, tmp_path, temprature=0.1))
    assert result.exit_code == 1
    assert "--set: temprature: got 0.1; there is no such key; did you mean temperature?" in result.output


def test_two_processes_step_as_one_that_accumulates(shop, shop_folder, still_base, tmp_path):
    values = {"ema": 0.5, "checkpoint_steps": 2, "learning_rate": 0.001}
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", "-m"]
    command += ["endcap", *options(shop_folder, still_base, tmp_path / "two", **values)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=900)
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.count("trained encoder in") == 1
    settings = TrainingSettings(**SHORT, **values, accumulation=2)
    one = train_encoder(shop, str(still_base), tmp_path / "one", settings)
    two = TrainedEncoder.open(tmp_path / "two")
    assert two.record["training"]["processes"] == 2
    for field in ("losses", "held"):
        flat = [
            [
                value
                for row in run.record["training"][field]
                for value in (row.values() if field == "held" else row)
            ]
            for run in (one, two)
        ]
        assert flat[0] == pytest.approx(flat[1], abs=2e-4)
    first, second = (load_file(folder / "model.safetensors") for folder in (one.path, two.path))
    assert first.keys() == second.keys()
    for name, weight in first.items():
        assert (weight - second[name]).abs().max() < 1e-5, name
    names = [{path.name for path in folder.iterdir()} for folder in (one.path, two.path)]
    assert names[0] == names[1]
