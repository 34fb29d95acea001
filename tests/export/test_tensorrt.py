"""A real engine of a real two-headed encoder, built by TensorRT-RTX without a GPU."""

from __future__ import annotations

import json
import re

import numpy as np
import onnx
import pytest
from endcap_export.generation import read_config
from endcap_export.registry import default_templates
from endcap_rerank.errors import EndcapError, InvalidInputError
from endcap_rerank.release import checksum
from onnx import TensorProto, helper, numpy_helper, shape_inference

pytest.importorskip("tensorrt_rtx")
pytestmark = pytest.mark.train

from endcap_export.encoder import OnnxEncoder  # noqa: E402
from endcap_export.export import export_release  # noqa: E402
from endcap_export.half import half_precision  # noqa: E402
from endcap_export.tensorrt import LIBRARIES, Profile, TensorRTError, build_engine  # noqa: E402


@pytest.fixture(scope="module")
def half(exported, tmp_path_factory):
    file = tmp_path_factory.mktemp("half") / "fp16.onnx"
    onnx.save(half_precision(onnx.load(exported)), file)
    return file


@pytest.fixture(scope="module")
def engine(half, tmp_path_factory):
    folder = tmp_path_factory.mktemp("engine")
    return build_engine(half, folder / "tensorrt.plan", timing_cache=folder / "timing.cache")


def test_precision_is_in_the_graph(half):
    graph = shape_inference.infer_shapes(onnx.load(half), strict_mode=True).graph
    types = {value.name: value.type.tensor_type.elem_type for value in (*graph.value_info, *graph.output)}
    types |= {tensor.name: tensor.data_type for tensor in graph.initializer}
    expected = dict.fromkeys(("MatMul", "Gelu", "Transpose"), TensorProto.FLOAT16)
    expected |= dict.fromkeys(
        ("LayerNormalization", "Softmax", "ReduceSum", "ReduceL2", "Div"), TensorProto.FLOAT
    )
    seen = set()
    for node in graph.node:
        if node.op_type in expected:
            seen.add(node.op_type)
            floats = [types[name] for name in (*node.input, *node.output) if types[name] != TensorProto.INT64]
            assert set(floats) == {expected[node.op_type]}, node.name
    assert seen == set(expected)
    constants = [numpy_helper.to_array(tensor) for tensor in graph.initializer]
    assert all(np.isfinite(values).all() for values in constants if values.dtype.kind == "f")


def test_half_precision_stays_near_fp32_on_padded_batches(exported, half):
    mask = (np.arange(12) < np.array([[12], [5], [1]])).astype(np.int64)
    ids = np.random.default_rng(0).integers(5, 40, mask.shape)
    exact, near = OnnxEncoder(exported).encode(ids, mask), OnnxEncoder(half).encode(ids, mask)
    assert (exact[0] * near[0]).sum(axis=1).min() > 0.9999
    np.testing.assert_allclose(near[1][mask == 1], exact[1][mask == 1], atol=0.05)


def test_a_constant_that_half_precision_cannot_hold_is_refused(exported):
    model = onnx.load(exported)
    product = next(node for node in model.graph.node if node.op_type == "MatMul")
    weight = next(tensor for tensor in model.graph.initializer if tensor.name == product.input[1])
    weight.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(weight) * 1e7, weight.name))
    with pytest.raises(EndcapError, match="does not fit half precision"):
        half_precision(model)


def test_a_profile_is_made_of_the_shops_lengths():
    assert Profile.of_lengths([4, 8, 8, 8, 24], 64).length == (1, 8, 64)
    for lengths in ([], [0, 4], [4, 65]):
        with pytest.raises(InvalidInputError, match="lengths: got"):
            Profile.of_lengths(lengths, 64)


def test_export_builds_an_engine_for_the_shop(trained, shop, tmp_path):
    release = export_release(trained, shop, tmp_path / "releases", tensorrt=True)
    assert "tensorrt" in release.manifest["precisions"]
    record = json.loads((release.path / "encoder" / "tensorrt.json").read_text())
    (profile,) = record["profiles"]
    assert profile["length"] == [1, 4, max(trained.text.query_length, trained.text.product_length)]
    assert record["timing_cache"] is True
    assert (tmp_path / "tensorrt-timing.cache").stat().st_size > 0


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


def test_what_was_built_is_recorded_beside_the_plan(engine, half):
    assert engine.plan.stat().st_size > 10_000
    record = json.loads(engine.plan.with_suffix(".json").read_text())
    assert record["library"] in LIBRARIES
    assert re.match(r"\d+\.\d+", record["version"])
    assert record["hardware"] == "SM120"
    assert record["profiles"] == [{"batch": [1, 1, 32], "length": [1, 12, 64]}]
    assert record["onnx"] == checksum(half)
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
