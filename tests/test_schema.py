"""Every config.pbtxt says what the schema says, and nothing that Triton would refuse."""

from pathlib import Path

import pytest
from endcap_rerank.schema import MODELS
from google.protobuf import text_format
from tritonclient.grpc import model_config_pb2

ROOT = Path(__file__).parents[1] / "model_repository"
CONFIGS = sorted(ROOT.glob("*/config.pbtxt")) + sorted(ROOT.glob("*/configs/*.pbtxt"))
NAMES = [str(path.relative_to(ROOT)) for path in CONFIGS]


def read(path):
    """Parse as Triton does: an unknown field or a wrong type is an error."""
    return text_format.Parse(
        path.read_text("utf-8"), model_config_pb2.ModelConfig(), allow_unknown_field=False
    )


def model_of(path):
    return path.relative_to(ROOT).parts[0]


def tensors(entries):
    return {
        entry.name: (model_config_pb2.DataType.Name(entry.data_type), tuple(entry.dims)) for entry in entries
    }


def test_every_model_has_a_folder_and_every_folder_a_model():
    assert {path.name for path in ROOT.iterdir() if path.is_dir()} == set(MODELS)
    assert {model_of(path) for path in ROOT.glob("*/config.pbtxt")} == set(MODELS)


@pytest.mark.parametrize("path", CONFIGS, ids=NAMES)
def test_tensors_are_those_of_the_schema(path):
    config, spec = read(path), MODELS[model_of(path)]
    assert tensors(config.input) == {each.name: (each.config_type, each.dims) for each in spec.inputs}
    assert tensors(config.output) == {each.name: (each.config_type, each.dims) for each in spec.outputs}
    assert {each.name for each in config.input if each.optional} == {
        each.name for each in spec.inputs if each.optional
    }


@pytest.mark.parametrize("path", CONFIGS, ids=NAMES)
def test_config_is_what_triton_accepts(path):
    config, spec = read(path), MODELS[model_of(path)]
    assert config.name == model_of(path)
    assert config.max_batch_size > 0
    assert config.version_policy.latest.num_versions == 1
    if path.name == "tensorrt.pbtxt":
        assert config.platform == "tensorrt_plan"
        assert {group.kind for group in config.instance_group} == {
            model_config_pb2.ModelInstanceGroup.KIND_GPU
        }
    elif spec.backend == "ensemble":
        assert config.platform == "ensemble"
        # Triton refuses these for an ensemble.
        for field in ("instance_group", "model_warmup"):
            assert not getattr(config, field)
        for field in ("dynamic_batching", "response_cache"):
            assert not config.HasField(field)
    else:
        assert config.backend == spec.backend
        assert {group.kind for group in config.instance_group} == {
            model_config_pb2.ModelInstanceGroup.KIND_CPU
        }


@pytest.mark.parametrize("path", CONFIGS, ids=NAMES)
def test_queue_has_no_timeout_and_a_limit_only_with_several_instances(path):
    """The first has an open bug, the second makes a single instance stall (see rerank/config.pbtxt)."""
    config = read(path)
    policy = config.dynamic_batching.default_queue_policy
    assert not policy.default_timeout_microseconds
    assert not policy.allow_timeout_override
    if policy.max_queue_size:
        assert sum(group.count for group in config.instance_group) >= 2
    if model_of(path) in ("encode", "rerank", "recommend", "feedback"):
        assert policy.max_queue_size


def test_ensemble_steps_fit_each_other():
    """Every step's tensors exist, with equal datatype and dims on both ends; every output is made."""
    ensemble = read(ROOT / "search" / "config.pbtxt")
    known = tensors(ensemble.input)
    optional = {entry.name for entry in ensemble.input if entry.optional}
    for step in ensemble.ensemble_scheduling.step:
        model = read(ROOT / step.model_name / "config.pbtxt")
        assert ensemble.max_batch_size <= model.max_batch_size
        inputs, outputs = tensors(model.input), tensors(model.output)
        may_lack = {entry.name for entry in model.input if entry.optional}
        assert set(step.input_map) | may_lack >= set(inputs)
        for name, source in step.input_map.items():
            assert known[source] == inputs[name]
            assert source not in optional or name in may_lack
        for name, target in step.output_map.items():
            assert target not in known
            known[target] = outputs[name]
    assert tensors(ensemble.output).items() <= known.items()


@pytest.mark.parametrize("path", [path for path in CONFIGS if model_of(path) == "encode"], ids=str)
def test_encoder_is_cached_and_warmed_up_at_both_ends(path):
    config = read(path)
    assert config.response_cache.enable
    shapes = [
        (sample.batch_size, {name: tuple(tensor.dims) for name, tensor in sample.inputs.items()})
        for sample in config.model_warmup
    ]
    for _, inputs in shapes:
        assert set(inputs) == {entry.name for entry in config.input}
        assert len(set(inputs.values())) == 1
    assert min(batch for batch, _ in shapes) == 1
    assert max(batch for batch, _ in shapes) == config.max_batch_size


def test_catalog_fits_a_batch_into_the_encoder():
    assert (
        read(ROOT / "catalog/config.pbtxt").max_batch_size
        <= read(ROOT / "encode/config.pbtxt").max_batch_size
    )


def test_model_files_stay_thin():
    for path in ROOT.glob("*/1/model.py"):
        assert len(path.read_text("utf-8").splitlines()) <= 100, path
