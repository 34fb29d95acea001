"""A real engine of a real two-headed encoder, built by TensorRT-RTX without a GPU."""

from __future__ import annotations

import json
import re

import onnx
import pytest
from endcap_export.generation import read_config
from endcap_export.registry import default_templates
from onnx import TensorProto, helper

pytest.importorskip("tensorrt_rtx")
pytestmark = pytest.mark.train

from endcap_export.tensorrt import LIBRARIES, Profile, TensorRTError, build_engine  # noqa: E402


@pytest.fixture(scope="module")
def engine(exported, tmp_path_factory):
    folder = tmp_path_factory.mktemp("engine")
    return build_engine(exported, folder / "tensorrt.plan", timing_cache=folder / "timing.cache")


def test_the_engine_fits_its_triton_config(engine):
    config = read_config(default_templates() / "encode" / "configs" / "tensorrt.pbtxt")
    assert config.platform == "tensorrt_plan" or config.backend == "tensorrt"
    spelled = {"FLOAT": "TYPE_FP32", "HALF": "TYPE_FP16", "INT64": "TYPE_INT64", "INT32": "TYPE_INT32"}
    for kind, nodes in (("input", config.input), ("output", config.output)):
        declared = {node.name: type_name(node.data_type) for node in nodes}
        built = {name: spelled[dtype] for name, (role, dtype, _) in engine.tensors.items() if role == kind}
        assert declared == built
        for node in nodes:
            assert len(engine.tensors[node.name][2]) == len(node.dims) + 1
    (profile,) = engine.profiles
    assert profile.batch[2] >= config.max_batch_size
    for warm_up in config.model_warmup:
        for tensor in warm_up.inputs.values():
            assert profile.length[0] <= tensor.dims[0] <= profile.length[2]
            assert profile.batch[0] <= warm_up.batch_size <= profile.batch[2]


def type_name(number):
    from tritonclient.grpc import model_config_pb2

    return model_config_pb2.DataType.Name(number)


def test_what_was_built_is_recorded_beside_the_plan(engine, exported):
    assert engine.plan.stat().st_size > 10_000
    record = json.loads(engine.plan.with_suffix(".json").read_text())
    assert record["library"] in LIBRARIES
    assert re.match(r"\d+\.\d+", record["version"])
    assert record["hardware"] == "SM120"
    assert record["profiles"] == [{"batch": [1, 1, 32], "length": [1, 12, 64]}]
    assert record["tensors"]["query_embedding"] == ["output", "FLOAT", [-1, 32]]


def test_a_graph_that_cannot_be_built_is_an_error(tmp_path):
    ids, mask = (helper.make_tensor_value_info(name, TensorProto.INT64, ["b", "t"])
                 for name in ("input_ids", "attention_mask"))  # fmt: skip
    out = helper.make_tensor_value_info("query_embedding", TensorProto.FLOAT, ["b", 4])
    node = helper.make_node("NoSuchOperator", ["input_ids"], ["query_embedding"], domain="example")
    graph = helper.make_graph([node], "g", [ids, mask], [out])
    opsets = [helper.make_opsetid("", 20), helper.make_opsetid("example", 1)]
    onnx.save(helper.make_model(graph, opset_imports=opsets), tmp_path / "bad.onnx")
    with pytest.raises(
        TensorRTError, match=r"bad.onnx: tensorrt_rtx cannot read this graph: .*NoSuchOperator"
    ):
        build_engine(tmp_path / "bad.onnx", tmp_path / "x.plan")
    assert not (tmp_path / "x.plan").exists()


def test_other_tensors_and_unknown_hardware_are_refused(tmp_path, exported):
    model = onnx.load(exported)
    for node in model.graph.node:
        node.output[:] = ["vector" if name == "query_embedding" else name for name in node.output]
    model.graph.output[0].name = "vector"
    onnx.save(model, tmp_path / "renamed.onnx")
    with pytest.raises(TensorRTError, match="vector"):
        build_engine(tmp_path / "renamed.onnx", tmp_path / "x.plan")
    with pytest.raises(TensorRTError, match="capability: got 'SM1'; one of SM"):
        build_engine(exported, tmp_path / "x.plan", capability="SM1", profiles=[Profile()])
