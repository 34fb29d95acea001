"""A student of fewer layers: where it starts, what it learns, that it comes nearer to its teacher."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("torch")
pytestmark = pytest.mark.train

import torch  # noqa: E402
from endcap_export.alignment import IGNORED  # noqa: E402
from endcap_export.distill import (  # noqa: E402
    DistillationSettings,
    distill,
    first_layers,
    kept_layers,
    similarity_loss,
    tag_loss,
)
from endcap_export.shop_texts import product_texts, trained_queries  # noqa: E402
from endcap_export.student_batches import LengthBatches, StudentDataset, student_texts  # noqa: E402
from endcap_export.trained import TrainedEncoder  # noqa: E402
from endcap_rerank.errors import InvalidInputError  # noqa: E402
from endcap_rerank.tokenizer import QueryTokenizer  # noqa: E402

SETTINGS = DistillationSettings(max_steps=80, learning_rate=3e-3, batch_size=24)


@pytest.fixture(scope="module")
def student(trained, shop, tmp_path_factory):
    folder = tmp_path_factory.mktemp("student")
    return distill(trained, shop, folder, layers=1, settings=SETTINGS)


def answers(model, encoder, texts):
    tokens = QueryTokenizer(encoder).encode(texts)
    with torch.inference_mode():
        embeddings, logits = model(
            torch.from_numpy(tokens.input_ids), torch.from_numpy(tokens.attention_mask)
        )
    return embeddings, logits[torch.from_numpy(tokens.attention_mask) == 1]


def test_a_student_starts_from_layers_of_its_teacher(trained):
    teacher = trained.load()
    before = first_layers(teacher, (1,))
    assert before.config.num_hidden_layers == 1
    assert torch.equal(
        before.bert.encoder.layer[0].output.dense.weight, teacher.bert.encoder.layer[1].output.dense.weight
    )
    assert torch.equal(before.classifier.weight, teacher.classifier.weight)
    assert kept_layers(6, 3) == (1, 3, 5)
    assert kept_layers(12, 3) == (3, 7, 11)
    assert kept_layers(6, 4)[-1] == 5
    assert kept_layers(6, 3, (0, 2, 5)) == (0, 2, 5)
    with pytest.raises(InvalidInputError, match="layers: got 6; 1 to 5 are expected: the teacher has 6"):
        kept_layers(6, 6)
    for keep in ((0, 2), (2, 0, 5), (0, 0, 5), (0, 2, 6)):
        with pytest.raises(InvalidInputError, match="keep"):
            kept_layers(6, 3, keep)


def test_it_comes_nearer_to_its_teacher_on_queries_that_it_never_saw(student, trained, shop):
    teacher = trained.load()
    held = [query.text for query in shop.held_tags]
    assert held
    assert not set(held) & set(trained_queries(shop))
    wanted = answers(teacher, trained, held)
    gaps = []
    for model in (first_layers(teacher, (1,)).eval(), student.load()):
        embeddings, logits = answers(model, trained, held)
        gaps.append((1 - (embeddings * wanted[0]).sum(dim=1).mean(), (logits - wanted[1]).abs().mean()))
    assert gaps[1][0] < 0.4 * gaps[0][0]
    assert gaps[1][1] < 0.8 * gaps[0][1]


def test_the_student_is_a_trained_encoder_and_is_not_taught_twice(student, trained, shop):
    opened = TrainedEncoder.open(student.path)
    told = opened.record["distillation"]
    assert told["kept_layers"] == [1]
    assert told["steps"] == 80
    assert told["texts"] == len(trained_queries(shop)) + len(product_texts(shop))
    assert opened.record["labels"] == trained.record["labels"]
    weights = student.path / "model.safetensors"
    before = weights.stat().st_mtime_ns
    distill(trained, shop, student.path, layers=1, settings=SETTINGS)
    assert weights.stat().st_mtime_ns == before
    other = DistillationSettings(max_steps=1, batch_size=8)
    distill(trained, shop, student.path, layers=1, settings=other)
    assert weights.stat().st_mtime_ns > before


def test_the_teacher_reads_each_text_once_and_its_states_come_back(trained, shop):
    teacher = trained.load()
    texts = student_texts(
        QueryTokenizer(trained), trained_queries(shop)[:9], product_texts(shop)[:5], shop.tags, teacher.labels
    )
    told = []
    dataset = StudentDataset(teacher, texts, lambda *done: told.append(done))
    assert told[-1] == (14, 14)
    batch = dataset.collate([3, 12, 0])
    with torch.inference_mode():
        states = teacher.states(batch["ids"], batch["mask"])
    real = batch["mask"].bool()
    torch.testing.assert_close(batch["states"][real], states[real], atol=5e-3, rtol=1e-2)
    assert batch["words"][0].any()
    assert not batch["words"][1].any()
    assert (batch["classes"][1] == IGNORED).all()
    assert ((batch["classes"] != IGNORED) <= batch["words"]).all()


def test_batches_hold_every_text_once_in_an_order_of_seed_and_epoch():
    lengths = np.arange(101) % 13
    batches = LengthBatches(lengths, 8, seed=1)
    first = list(batches)
    assert sorted(place for batch in first for place in batch) == list(range(101))
    assert list(batches) == first
    assert len(first) == len(batches)
    batches.set_epoch(1)
    assert list(batches) != first


def test_losses_are_nothing_for_a_perfect_student_and_grow_with_the_difference():
    generator = torch.Generator().manual_seed(0)
    wanted = torch.nn.functional.normalize(torch.randn(6, 8, generator=generator), dim=-1)
    turned = wanted @ torch.linalg.qr(torch.randn(8, 8, generator=generator))[0]
    # Only what is alike counts, not where it lies.
    assert similarity_loss(turned, wanted, 0.1) == pytest.approx(0, abs=1e-5)
    assert similarity_loss(wanted.flip(0) @ torch.diag(torch.arange(8.0)), wanted, 0.1) > 0.1
    assert similarity_loss(wanted[:1], wanted[:1], 0.1) == 0
    logits = torch.randn(5, 3, generator=generator)
    assert tag_loss(logits + 7, logits, 2.0) == pytest.approx(0, abs=1e-5)
    assert tag_loss(logits.flip(1), logits, 2.0) > 0.1


def test_settings_out_of_range_are_named():
    with pytest.raises(InvalidInputError, match="tag_temperature"):
        DistillationSettings(tag_temperature=0)
    with pytest.raises(InvalidInputError, match="max_steps"):
        DistillationSettings(max_steps=0)
