"""Settings of config.pbtxt reach ONNX Runtime; those that cannot are said so."""

import onnxruntime as ort
import pytest
from ort_session import execution_providers, open_session, session_options


def parameters(**values):
    return {"parameters": {name: {"string_value": value} for name, value in values.items()}}


def test_threads_and_mode():
    options, notes = session_options(
        parameters(intra_op_thread_count="2", inter_op_thread_count="3", execution_mode="1")
    )
    assert (options.intra_op_num_threads, options.inter_op_num_threads) == (2, 3)
    assert options.execution_mode == ort.ExecutionMode.ORT_PARALLEL
    assert notes == []


@pytest.mark.parametrize(
    ("level", "expected"),
    [
        ("-1", "ORT_ENABLE_BASIC"),
        ("1", "ORT_ENABLE_EXTENDED"),
        ("2", "ORT_DISABLE_ALL"),
        (None, "ORT_ENABLE_ALL"),
    ],
)
def test_graph_level_is_the_cpp_backends(level, expected):
    config = {} if level is None else {"optimization": {"graph": {"level": int(level)}}}
    options, _ = session_options(config)
    assert options.graph_optimization_level == getattr(ort.GraphOptimizationLevel, expected)


@pytest.mark.parametrize(
    "config",
    [
        parameters(intra_op_thread_count="many"),
        parameters(intra_op_thread_count="-2"),
        parameters(execution_mode="7"),
        {"optimization": {"graph": {"level": 9}}},
    ],
)
def test_impossible_setting_is_refused(config):
    with pytest.raises(ValueError, match="is expected"):
        session_options(config)


def test_what_has_no_effect_is_said():
    _, notes = session_options(parameters(cudnn_conv_algo_search="0"))
    assert "cudnn_conv_algo_search" in notes[0]
    providers, notes = execution_providers(
        {
            "optimization": {
                "execution_accelerators": {
                    "gpu_execution_accelerator": [{"name": "tensorrt"}],
                    "cpu_execution_accelerator": [{"name": "no-such"}],
                }
            },
            "instance_group": [{"kind": "KIND_GPU"}],
        }
    )
    assert providers == ["CPUExecutionProvider"]
    assert [word for word in ("tensorrt", "no-such", "KIND_GPU") if any(word in note for note in notes)] == [
        "tensorrt", "no-such", "KIND_GPU"
    ]  # fmt: skip


def test_model_file_may_have_another_name(config, version_folder, tmp_path):
    (tmp_path / "other.onnx").write_bytes((version_folder / "model.onnx").read_bytes())
    with pytest.raises(ValueError, match=r"model\.onnx does not exist"):
        open_session(config, tmp_path)
    session, _ = open_session({**config, "default_model_filename": "other.onnx"}, tmp_path)
    assert len(session.get_inputs()) == 2


def test_damaged_model_is_refused_by_name(config, tmp_path):
    (tmp_path / "model.onnx").write_bytes(b"no model")
    with pytest.raises(ValueError, match=r"model\.onnx: ONNX Runtime cannot open it"):
        open_session(config, tmp_path)
