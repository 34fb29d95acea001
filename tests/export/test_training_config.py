"""The TOML file of a training run, without torch."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from dataclasses import fields, replace
from pathlib import Path

import pytest
from endcap_export.training_config import TrainingConfig, assignment, config_toml, read_config
from endcap_export.training_settings import TrainingSettings, descriptions
from endcap_rerank.errors import EndcapError, InvalidInputError

DOCS = Path(__file__).parents[2] / "docs" / "training.md"


@pytest.fixture
def written(tmp_path):
    def write(text):
        file = tmp_path / "run.toml"
        file.write_text(text)
        return file

    return write


def test_the_printed_config_explains_every_key_and_is_read_back(written):
    text = config_toml(TrainingConfig())
    assert read_config(written(text)) == TrainingConfig()
    documented = tomllib.loads(text)["training"]
    for one in fields(TrainingSettings):
        assert descriptions(TrainingSettings)[one.name]
        default = list(one.default) if isinstance(one.default, tuple) else one.default
        assert documented.get(one.name) == default
    own = TrainingConfig(
        base="./my bert",
        limit_train=7,
        training=TrainingSettings(max_steps=3, ema=0.99, learning_rate=2e-5),
        search={"temperature": (0.01, 0.5)},
    )
    assert read_config(written(config_toml(own))) == own


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[training]\nlerning_rate = 1e-4", "run.toml: lerning_rate: got 0.0001; there is no such key; did "
         "you mean learning_rate"),
        ("[training]\nepochs = 'two'", "run.toml: epochs: got 'two'; a number is expected"),
        ("[training]\nbatch_size = 1.5", "run.toml: batch_size: got 1.5; a whole number is expected"),
        ("[training]\nbatch_size = true", "run.toml: batch_size: got True; a whole number is expected"),
        ("[training]\nbatch_size = 0", "run.toml: batch_size: got 0; a number above 0 is expected"),
        ("[training]\nema = 1", r"run.toml: ema: got 1.0; a number from 0 to below 1"),
        ("[training]\nprecision = 'fp8'", "run.toml: precision: got 'fp8'; one of auto, fp32, bf16"),
        ("[training]\nearly_stopping = 2\nevaluate = 'never'", "evaluate: got 'never'; epoch or steps"),
        ("epochs = 2", r"run.toml: epochs: got 2; it belongs below \[training\]"),
        ("training = 2", r"run.toml: training: got 2; a table \[training\] is expected"),
        ("[search]\ntemperature = 0.1", r"search.temperature: got 0.1; \[lowest, highest\] is expected"),
        ("[search]\ntemperature = [0.2, 0.1]", "search.temperature: got .0.2, 0.1.; .lowest, highest."),
        ("[search]\nprecision = ['fp32', 'bf16']", "search.precision: got .*there is no such key"),
    ],
)  # fmt: skip
def test_a_wrong_key_or_value_is_named_with_what_is_right(text, message, written):
    with pytest.raises(InvalidInputError, match=message):
        read_config(written(text))


def test_a_broken_file_is_named(written, tmp_path):
    with pytest.raises(EndcapError, match=r"run.toml: not a training config; a TOML file is expected"):
        read_config(written("epochs ="))
    with pytest.raises(EndcapError, match=r"absent\.toml"):
        read_config(tmp_path / "absent.toml")


def test_options_go_before_the_file(written):
    config = read_config(written("[training]\nepochs = 2\nseed = 3"))
    config = config.with_values({"epochs": 5}, "option")
    config = config.with_values(dict([assignment("adapter = lora"), assignment("ema=0.5")]), "--set")
    assert config.training == replace(TrainingSettings(), epochs=5.0, seed=3, adapter="lora", ema=0.5)
    with pytest.raises(InvalidInputError, match="--set: got 'epochs'; KEY=VALUE is expected"):
        assignment("epochs")
    with pytest.raises(InvalidInputError, match="--set: epochs: got 'many'; a number is expected"):
        config.with_values(dict([assignment("epochs=many")]), "--set")


def test_the_docs_name_every_hyperparameter():
    text = DOCS.read_text("utf-8")
    missing = [one.name for one in fields(TrainingSettings) if f"`{one.name}`" not in text]
    assert not missing


def test_the_command_prints_the_default_config_without_data():
    command = [sys.executable, "-m", "endcap", "train", "--print-config"]
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert printed == config_toml(TrainingConfig())
