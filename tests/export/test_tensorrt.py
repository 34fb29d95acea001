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
from endcap_export.plan import check_plan  # noqa: E402
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


def test_a_six_layer_encoder_is_built_for_the_shops_queries(shop, tmp_path):
    """The default base as it is served: two heads, fp16 in the graph, profiles of the shop's lengths."""
    from endcap_export.base import find_base, load_model, save_tokenizer
    from endcap_export.export import shop_profile
    from endcap_export.onnx_export import export_onnx
    from endcap_export.trained import TrainedEncoder
    from endcap_rerank.tokenizer import QueryTokenizer

    base = find_base("minilm")
    save_tokenizer(base, tmp_path / "tokenizer.json")
    tokenizer = QueryTokenizer(TrainedEncoder(tmp_path, base.text, {}))
    model = load_model(base, shop.labels)
    assert model.config.num_hidden_layers == 6
    export_onnx(model, tmp_path / "fp32.onnx")
    onnx.save(half_precision(onnx.load(tmp_path / "fp32.onnx")), tmp_path / "fp16.onnx")
    profile = shop_profile(shop, tokenizer, base.text)
    built = build_engine(tmp_path / "fp16.onnx", tmp_path / "tensorrt.plan", profiles=(profile,))
    assert profile.length == (1, 4, 64)
    check_plan(built.plan, default_templates() / "encode" / "configs" / "tensorrt.pbtxt")
    # Products are half as large as in fp32; the table of word pieces is not.
    assert built.plan.stat().st_size < 0.85 * (tmp_path / "fp32.onnx").stat().st_size
    assert built.tensors["query_embedding"] == ("output", "FLOAT", (-1, 384))
    assert built.tensors["tag_logits"] == ("output", "FLOAT", (-1, -1, len(shop.labels)))


def test_the_engine_fits_its_triton_config(engine):
    config = default_templates() / "encode" / "configs" / "tensorrt.pbtxt"
    assert read_config(config).platform == "tensorrt_plan"
    check_plan(engine.plan, config)


def test_a_plan_needs_a_gpu_to_be_run(engine, exported, trained):
    import torch
    from endcap_export.plan import plan_parity
    from endcap_rerank.tokenizer import QueryTokenizer

    if torch.cuda.is_available():
        assert plan_parity(engine.plan, exported, QueryTokenizer(trained), ["red tent", "boots"]) > 0.99
    else:
        with pytest.raises(TensorRTError, match="no GPU that PyTorch can use; run this on a machine with"):
            plan_parity(engine.plan, exported, QueryTokenizer(trained), ["red tent"])


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
