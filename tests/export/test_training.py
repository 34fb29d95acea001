"""Training, export, parity, quantization: on a tiny BERT, for real."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

pytest.importorskip("torch")
pytestmark = pytest.mark.train

import onnx  # noqa: E402
import torch  # noqa: E402
from endcap_export.base import find_base, load_model  # noqa: E402
from endcap_export.batches import Examples, JointBatches, JointDataset, Pair  # noqa: E402
from endcap_export.encoder import OnnxEncoder  # noqa: E402
from endcap_export.evaluate import ranking_scores, tag_scores  # noqa: E402
from endcap_export.parity import ParityError, check_parity  # noqa: E402
from endcap_export.quantize import METHODS, quantize  # noqa: E402
from endcap_export.shop import texts_of  # noqa: E402
from endcap_export.train import TrainingSettings, train  # noqa: E402
from endcap_rerank.errors import EndcapError, InvalidInputError  # noqa: E402
from endcap_rerank.release import TextSettings  # noqa: E402
from endcap_rerank.tokenizer import QueryTokenizer  # noqa: E402
from tiny import COLORS, TYPES  # noqa: E402


@pytest.fixture(scope="module")
def tokenizer(trained):
    return QueryTokenizer(trained)


@pytest.fixture(scope="module")
def texts():
    kinds = [kind for kinds in TYPES.values() for kind in kinds]
    short = [f"{color} {kind}" for color in COLORS for kind in kinds]
    return [*short, *(" ".join(short[n : n + 1 + n % 9]) for n in range(0, 100, 3))]


def test_joint_training_lowers_both_losses_and_learns(trained, exported, shop, tokenizer):
    _, first_tags, first_pairs = trained.record["training"]["losses"][0]
    _, last_tags, last_pairs = trained.record["training"]["losses"][-1]
    assert last_tags < 0.3 * first_tags
    assert last_pairs < 0.9 * first_pairs
    encoder = OnnxEncoder(exported)
    assert shop.held_tags
    assert tag_scores(encoder, tokenizer, trained.record["labels"], shop.held_tags)["f1"] > 0.95
    ranked = ranking_scores(encoder, tokenizer, shop.held_judgments, texts_of(shop.products))
    assert ranked["ndcg10"] > ranked["ndcg10_random"] + 0.05


def test_the_same_seed_gives_the_same_weights(shop, tiny_base, trained, tokenizer):
    pairs = tuple(Pair(one.query, one.item) for one in shop.judgments[:40])
    examples = Examples(shop.tags[:40], pairs, texts_of(shop.products))
    weights = []
    for seed in (5, 5, 6):
        model = load_model(find_base(str(tiny_base)), shop.labels, seed=seed)
        train(model, tokenizer, examples, TrainingSettings(max_steps=3, batch_size=8, seed=seed))
        weights.append(torch.cat([parameter.detach().flatten() for parameter in model.parameters()]))
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])


@pytest.mark.parametrize("part", ["tags", "pairs"])
def test_either_head_alone_trains(part, shop, tiny_base, tokenizer):
    tags = shop.tags[:30] if part == "tags" else ()
    pairs = tuple(Pair(one.query, one.item) for one in shop.judgments[:30]) if part == "pairs" else ()
    model = load_model(find_base(str(tiny_base)), shop.labels if tags else ("O",))
    steps = []
    settings = TrainingSettings(max_steps=2, batch_size=8)
    run = train(model, tokenizer, Examples(tags, pairs, texts_of(shop.products)), settings,
                lambda done, of: steps.append((done, of)))  # fmt: skip
    assert run.steps == 2
    assert steps == [(1, 2), (2, 2)]
    with pytest.raises(EndcapError, match="nothing to learn from"):
        train(model, tokenizer, Examples((), (), {}), settings)


def test_a_time_budget_ends_training_early(shop, tiny_base, tokenizer):
    model = load_model(find_base(str(tiny_base)), shop.labels)
    examples = Examples(shop.tags, (), {})
    run = train(model, tokenizer, examples, TrainingSettings(epochs=10_000, seconds=0.3))
    assert 0 < run.steps < 3000
    with pytest.raises(InvalidInputError, match="max_steps: got 0"):
        TrainingSettings(max_steps=0)


def test_other_answers_of_a_query_are_no_negatives(tokenizer):
    pairs = (Pair("red tent", "a"), Pair("red tent", "b"), Pair("blue tent", "a"), Pair("lamp", "c"))
    data = JointDataset(Examples((), pairs, {"a": "x", "b": "y", "c": "z"}), tokenizer, {})
    masked = data.collate([0, 1, 2, 3])["false_negatives"].int().tolist()
    assert masked == [[0, 1, 1, 0], [1, 0, 1, 0], [1, 0, 0, 0], [0, 0, 0, 0]]


def test_every_batch_has_both_parts_and_each_epoch_its_own_order():
    lengths = np.arange(70)
    batches = JointBatches(lengths, tagged_count=20, sizes=(8, 10), seed=3)
    first = list(batches)
    assert len(first) == len(batches) == 5
    assert all(any(index < 20 for index in batch) for batch in first)
    assert sorted(index for batch in first for index in batch if index >= 20) == list(range(20, 70))
    assert list(batches) == first
    batches.set_epoch(1)
    assert list(batches) != first


def test_onnx_agrees_with_pytorch_on_padded_batches(trained, exported, tokenizer, texts):
    parity = check_parity(trained.load(), exported, tokenizer, texts)
    assert parity.embedding_max_abs < 1e-5
    assert parity.logits_max_abs < 1e-4
    assert parity.texts == len(texts)
    graph = onnx.load(exported).graph
    sizes = [
        [axis.dim_param or axis.dim_value for axis in node.type.tensor_type.shape.dim]
        for node in graph.output
    ]
    assert sizes == [["batch", 32], ["batch", "length", len(trained.record["labels"])]]


def test_an_export_of_other_weights_is_refused_with_the_figures(trained, exported, tokenizer, texts):
    model = trained.load()
    with torch.no_grad():
        model.classifier.bias += 0.01
    with pytest.raises(ParityError, match=r"refused, .* 1.0\de-02 \(tag_logits\)") as caught:
        check_parity(model, exported, tokenizer, texts)
    assert caught.value.parity.logits_max_abs == pytest.approx(0.01, rel=0.1)
    assert caught.value.parity.embedding_max_abs < 1e-5
    with torch.no_grad():
        model.bert.embeddings.word_embeddings.weight[:] = torch.nan
    with pytest.raises(ParityError, match="inf"):
        check_parity(model, exported, tokenizer, texts)


@pytest.mark.parametrize("method", METHODS)
def test_int8_stays_near_fp32(method, exported, tokenizer, texts, tmp_path):
    quantize(exported, tmp_path / "int8.onnx", method, [tokenizer.encode(texts[::2])])
    tokens = tokenizer.encode(texts)
    exact = OnnxEncoder(exported).encode(tokens.input_ids, tokens.attention_mask)
    rough = OnnxEncoder(tmp_path / "int8.onnx").encode(tokens.input_ids, tokens.attention_mask)
    cosines = (exact[0] * rough[0]).sum(axis=1)
    assert cosines.min() > 0.98
    real = tokens.attention_mask == 1
    assert (exact[1].argmax(-1) == rough[1].argmax(-1))[real].mean() > 0.97
    with pytest.raises(InvalidInputError, match="method: got 'int4'"):
        quantize(exported, tmp_path / "x.onnx", "int4")


def test_static_scales_need_texts(exported, tmp_path):
    with pytest.raises(InvalidInputError, match="samples: got 0; static quantization needs texts"):
        quantize(exported, tmp_path / "int8.onnx", "static")


@pytest.mark.parametrize("method", ["static", "rowwise"])
def test_int8_does_not_depend_on_padding_or_on_the_batch(method, exported, tokenizer, texts, tmp_path):
    quantize(exported, tmp_path / "int8.onnx", method, [tokenizer.encode(texts[::2])])
    encoder = OnnxEncoder(tmp_path / "int8.onnx")
    together = tokenizer.encode(texts)
    batched, logits = encoder.encode(together.input_ids, together.attention_mask)
    for row in range(0, len(texts), 17):
        alone = tokenizer.encode([texts[row]])
        embedding, tags = encoder.encode(alone.input_ids, alone.attention_mask)
        size = int(alone.attention_mask.sum())
        np.testing.assert_allclose(embedding[0], batched[row], atol=2e-5)
        np.testing.assert_allclose(tags[0, :size], logits[row, :size], atol=2e-4)


def test_a_warm_up_of_zeros_is_finite(exported, tokenizer, texts, tmp_path):
    zeros = np.zeros((2, 4), np.int64)
    files = [exported]
    for method in METHODS:
        files.append(tmp_path / f"{method}.onnx")
        quantize(exported, files[-1], method, [tokenizer.encode(texts)])
    for file in files:
        assert all(np.isfinite(output).all() for output in OnnxEncoder(file).encode(zeros, zeros))


def test_bases_are_found_by_name_folder_or_refused(tiny_base, tmp_path):
    assert find_base("minilm").text == TextSettings()
    (tmp_path / "e5-small").mkdir()
    text = find_base(str(tmp_path / "e5-small")).text
    assert (text.query_prefix, text.product_prefix) == ("query: ", "passage: ")
    with pytest.raises(InvalidInputError, match=r"base: got './absent'; no such folder"):
        find_base("./absent")
    with pytest.raises(EndcapError, match="cannot be loaded"):
        load_model(find_base(str(tmp_path / "e5-small")), ("O",))


def test_prefixed_queries_align_as_plain_ones(tiny_base, shop):
    plain, prefixed = (
        QueryTokenizer(
            SimpleNamespace(tokenizer=tiny_base / "tokenizer.json", text=TextSettings(query_prefix=prefix))
        )
        for prefix in ("", "query: ")
    )
    classes = {label: index for index, label in enumerate(shop.labels)}
    examples = Examples(shop.tags[:20], (), {})
    for row in range(20):
        labels = [
            JointDataset(examples, tokenizer, classes).collate([row])["tag_labels"]
            for tokenizer in (plain, prefixed)
        ]
        kept = [one[one != -100].tolist() for one in labels]
        assert kept[0] == kept[1]
