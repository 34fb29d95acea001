"""The graph that int8 is made of computes what the plain one does, in fewer nodes."""

from __future__ import annotations

from collections import Counter

import numpy as np
import onnx
import pytest

pytest.importorskip("torch")
pytestmark = pytest.mark.train

from endcap_export import static  # noqa: E402
from endcap_export.encoder import OnnxEncoder  # noqa: E402
from endcap_export.fuse import fuse  # noqa: E402
from endcap_export.integers import find_products  # noqa: E402
from endcap_export.quantize import quantize  # noqa: E402
from endcap_export.static import Range, activation_ranges, quantize_static  # noqa: E402
from endcap_rerank.errors import EndcapError  # noqa: E402
from endcap_rerank.tokenizer import QueryTokenizer  # noqa: E402


@pytest.fixture(scope="module")
def plain(exported):
    return onnx.load(exported)


@pytest.fixture(scope="module")
def fused(plain):
    return fuse(plain)


def kinds(model):
    return Counter(node.op_type for node in model.graph.node)


def test_the_fused_graph_agrees_on_padded_batches(exported, fused, tmp_path):
    onnx.save(fused, tmp_path / "fused.onnx")
    before, after = OnnxEncoder(exported), OnnxEncoder(tmp_path / "fused.onnx")
    generator = np.random.default_rng(0)
    for batch, length in ((1, 1), (1, 9), (3, 8), (7, 33), (16, 12)):
        ids = generator.integers(5, 40, (batch, length))
        mask = (np.arange(length) < generator.integers(1, length + 1, (batch, 1))).astype(np.int64)
        expected, actual = before.encode(ids, mask), after.encode(ids, mask)
        np.testing.assert_allclose(actual[0], expected[0], atol=2e-6)
        np.testing.assert_allclose(actual[1][mask == 1], expected[1][mask == 1], atol=2e-5)


def test_each_layer_has_one_attention_and_one_product_for_query_key_and_value(plain, fused):
    assert kinds(plain)["Softmax"] == 2
    assert kinds(fused)["MultiHeadAttention"] == 2
    assert kinds(fused)["Softmax"] == kinds(fused)["Reshape"] == kinds(fused)["Transpose"] == 0
    assert kinds(fused)["MatMul"] == 2 * 4 + 1
    assert kinds(fused)["Gather"] == 1
    assert len(fused.graph.node) < 0.6 * len(plain.graph.node)


def test_the_contract_of_tensors_is_kept(plain, fused):
    for field in ("input", "output"):
        before, after = getattr(plain.graph, field), getattr(fused.graph, field)
        assert [value.SerializeToString() for value in after] == [
            value.SerializeToString() for value in before
        ]


def test_a_graph_without_a_mask_is_refused(plain):
    other = onnx.ModelProto()
    other.CopyFrom(plain)
    other.graph.input[1].name = "mask"
    for node in other.graph.node:
        node.input[:] = ["mask" if name == "attention_mask" else name for name in node.input]
    with pytest.raises(EndcapError, match="attention_mask"):
        fuse(other)


def test_static_int8_is_one_node_for_a_product_and_leaves_the_tag_head_alone(
    exported, trained, fused, tmp_path
):
    samples = [QueryTokenizer(trained).encode(["red tent", "a blue oak chair"])]
    quantize(exported, tmp_path / "int8.onnx", "static", samples)
    counted = kinds(onnx.load(tmp_path / "int8.onnx"))
    assert (
        counted["MatMulIntegerToFloat"] == counted["QuantizeLinear"] == len(find_products(fused.graph)) == 8
    )
    assert counted["MatMul"] == 1
    assert counted["ReduceMax"] == 0


@pytest.mark.parametrize("rough", range(8))
def test_static_int8_leaves_the_product_with_the_widest_steps_in_floats(fused, trained, rough, monkeypatch):
    monkeypatch.setattr(static, "LEFT", 8)  # one of this encoder's eight
    products = list(find_products(fused.graph).values())
    ranges = activation_ranges(fused, [QueryTokenizer(trained).encode(["red tent", "a blue oak chair"])])
    seen = ranges[products[rough].source]
    high = seen.high.copy()
    high[0] = 1e6
    changed = onnx.ModelProto()
    changed.CopyFrom(fused)
    quantize_static(changed, {**ranges, products[rough].source: Range(seen.low, high)})
    left = {node.input[1] for node in changed.graph.node if node.op_type == "MatMul"}
    assert products[rough].weight.name in left
    assert len(left) == 2


def test_ranges_do_not_see_padding(fused, trained):
    tokenizer = QueryTokenizer(trained)
    texts = ["red tent", "a blue oak chair for the garden and the house"]
    alone = activation_ranges(fused, [tokenizer.encode([text]) for text in texts])
    together = activation_ranges(fused, [tokenizer.encode(texts)])
    assert alone.keys() == together.keys() == {p.source for p in find_products(fused.graph).values()}
    for name, seen in alone.items():
        np.testing.assert_allclose(seen.low, together[name].low, atol=1e-5)
        np.testing.assert_allclose(seen.high, together[name].high, atol=1e-5)
