"""Training, export, parity, quantization: on a tiny BERT, for real."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

pytest.importorskip("torch")
pytestmark = pytest.mark.train

import onnx  # noqa: E402
import torch  # noqa: E402
from endcap_export.augment import Augmentation  # noqa: E402
from endcap_export.base import find_base, load_model  # noqa: E402
from endcap_export.batches import NO_GRADE, Answers, Examples, JointBatches, JointDataset  # noqa: E402
from endcap_export.encoder import OnnxEncoder  # noqa: E402
from endcap_export.evaluate import ranking_scores, tag_scores  # noqa: E402
from endcap_export.pairs import judged_answers, with_hard_negatives  # noqa: E402
from endcap_export.parity import ParityError, check_parity  # noqa: E402
from endcap_export.quantize import METHODS, quantize  # noqa: E402
from endcap_export.shop import texts_of  # noqa: E402
from endcap_export.train import TrainingSettings, train  # noqa: E402
from endcap_export.trained import train_encoder  # noqa: E402
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
    examples = Examples(shop.tags[:40], judged_answers(shop.judgments[:40]), texts_of(shop.products))
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
    answers = judged_answers(shop.judgments[:30]) if part == "pairs" else ()
    model = load_model(find_base(str(tiny_base)), shop.labels if tags else ("O",))
    steps = []
    settings = TrainingSettings(max_steps=2, batch_size=8)
    run = train(model, tokenizer, Examples(tags, answers, texts_of(shop.products)), settings,
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


def test_a_batch_holds_each_querys_products_by_length(tokenizer):
    texts = {"a": "red tent with a porch", "b": "tent", "c": "lamp", "d": "blue lamp"}
    answers = (
        Answers("red tent", {"a": 1.0, "b": 0.3}),
        Answers("tent", {"b": 1.0}, negatives=("c",), weights={"b": 2.0}),
        Answers("lamp", {"c": 1.0, "d": 0.6}),
    )
    data = JointDataset(Examples((), answers, texts), tokenizer, {})
    batch = data.collate([0, 1, 2])
    lengths = [int(row.sum()) for _, mask in batch["items"] for row in mask]
    assert lengths == sorted(lengths)
    owners, grades = batch["owners"].tolist(), [round(grade, 1) for grade in batch["grades"].tolist()]
    assert sorted(zip(owners, grades, strict=True)) == [
        (0, 0.3), (0, 1.0), (1, NO_GRADE), (1, 1.0), (2, 0.6), (2, 1.0)
    ]  # fmt: skip
    assert sorted(batch["weights"].tolist()) == [1, 1, 1, 1, 1, 2]
    # "b" came with the first query and answers the second; "c" came with the second and answers the third.
    masked = [(query, owners[item]) for query, item in batch["false_negatives"].nonzero().tolist()]
    assert masked == [(1, 0), (2, 1)]


def test_of_many_products_others_come_each_epoch(tokenizer):
    texts = {str(number): f"tent {number}" for number in range(20)}
    data = JointDataset(Examples((), (Answers("tent", dict.fromkeys(texts, 1.0)),), texts), tokenizer, {})
    first, again, later = (data.collate([index]) for index in (0, 0, 1))
    assert len(first["owners"]) == 4
    same = [
        all(torch.equal(x, y) for x, y in zip(first["items"][0], other["items"][0], strict=True))
        for other in (again, later)
    ]
    assert same == [True, False]


def test_of_few_products_of_a_query_one_is_right_and_the_others_change(tokenizer):
    texts = {str(number): f"tent {number}" for number in range(6)}
    answers = (
        Answers("tent", {**dict.fromkeys(texts, 0.3), "4": 1.0}),
        Answers("red tent", dict.fromkeys(texts, 0.0)),
    )
    data = JointDataset(Examples((), answers, texts), tokenizer, {}, products_per_query=2)
    batches = [data.collate([epoch * len(data), epoch * len(data) + 1]) for epoch in range(8)]
    assert all(batch["owners"].bincount().tolist() == [2, 2] for batch in batches)
    assert all(sorted(batch["grades"].tolist())[-1] == 1.0 for batch in batches)
    assert len({str(batch["items"]) for batch in batches}) > 1
    assert data.items_per_query() == 2


def test_changed_queries_keep_their_labels(shop, tokenizer):
    classes = {label: index for index, label in enumerate(shop.labels)}
    answers = judged_answers(shop.judgments[:5])
    examples = Examples(shop.tags[:20], answers, texts_of(shop.products), Augmentation(1.0, 0.0, 0.0))
    plain = Examples(shop.tags[:20], answers, texts_of(shop.products))
    indices = range(20 + len(answers))
    before, after = (JointDataset(one, tokenizer, classes).collate(indices) for one in (plain, examples))
    assert before["tag_ids"].tolist() != after["tag_ids"].tolist()
    assert before["query_ids"].tolist() != after["query_ids"].tolist()
    for old, new in zip(before["tag_labels"], after["tag_labels"], strict=True):
        assert old[old != -100].tolist() == new[new != -100].tolist()


def test_every_batch_has_both_parts_and_each_epoch_its_own_order():
    lengths = np.arange(70)
    batches = JointBatches(lengths, tagged_count=20, sizes=(8, 10), seed=3)
    first = list(batches)
    assert len(first) == len(batches) == 5
    assert all(any(index < 20 for index in batch) for batch in first)
    assert sorted(index for batch in first for index in batch if index >= 20) == list(range(20, 70))
    assert list(batches) == first
    batches.set_epoch(1)
    second = [[index - len(lengths) for index in batch] for batch in batches]
    assert min(map(min, second)) >= 0
    assert second != first


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


def test_hard_negatives_are_none_of_the_judged_products(shop, trained, exported, tokenizer):
    answers = judged_answers(shop.judgments)
    mined = with_hard_negatives(
        answers, texts_of(shop.products), OnnxEncoder(exported), tokenizer, count=3, seed=1
    )
    assert [one.query for one in mined] == [one.query for one in answers]
    assert max(len(one.negatives) for one in mined) == 3
    for one in mined:
        assert not set(one.negatives) & set(one.grades)


def test_short_embeddings_and_hard_negatives_train(shop, tiny_base, tmp_path):
    settings = TrainingSettings(max_steps=2, hard_negatives=2, matryoshka=(8, 16), evaluate="never")
    stages = []
    encoder = train_encoder(
        shop, str(tiny_base), tmp_path, settings, progress=lambda stage, *_: stages.append(stage)
    )
    assert "negatives" in stages
    assert encoder.record["training"]["settings"]["matryoshka"] in ([8, 16], (8, 16))
    with pytest.raises(InvalidInputError, match="dimensions: got 64; 1 to 32 are expected"):
        train_encoder(shop, str(tiny_base), tmp_path, TrainingSettings(max_steps=1, matryoshka=(64,)))
