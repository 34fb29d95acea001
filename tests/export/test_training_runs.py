"""Runs that are stopped and resumed, accumulated, averaged, adapted, dealt out: on a tiny BERT."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import pytest

pytest.importorskip("torch")
pytestmark = pytest.mark.train

import torch  # noqa: E402
from endcap_export import train as training  # noqa: E402
from endcap_export.augment import Augmentation  # noqa: E402
from endcap_export.base import find_base, load_model, save_tokenizer  # noqa: E402
from endcap_export.batches import Examples, JointBatches, JointDataset  # noqa: E402
from endcap_export.heldout import HeldOut  # noqa: E402
from endcap_export.losses import batch_counts, batch_losses, loss_weights  # noqa: E402
from endcap_export.pairs import judged_answers  # noqa: E402
from endcap_export.precision import resolve_precision  # noqa: E402
from endcap_export.sharding import ShardedBatches  # noqa: E402
from endcap_export.shop import texts_of  # noqa: E402
from endcap_export.train import Run, TrainingSettings, train  # noqa: E402
from endcap_export.trained import TrainedEncoder, train_encoder  # noqa: E402
from endcap_rerank.errors import EndcapError, InvalidInputError  # noqa: E402
from endcap_rerank.release import TOKENIZER, TextSettings  # noqa: E402
from endcap_rerank.tokenizer import QueryTokenizer  # noqa: E402

SHORT = TrainingSettings(
    max_steps=7, batch_size=8, tag_batch_size=8, learning_rate=1e-3, precision="fp32", report_to="none"
)


class StoppedError(Exception):
    """The power went."""


@pytest.fixture(scope="module")
def tokenizer(tiny_base, tmp_path_factory):
    folder = tmp_path_factory.mktemp("tokenizer")
    save_tokenizer(find_base(str(tiny_base)), folder / TOKENIZER)
    return QueryTokenizer(TrainedEncoder(folder, TextSettings(), {}))


def examples_of(shop, tags=40, queries=30):
    changes = Augmentation(0.3, 0.1, 0.1)
    return Examples(
        shop.tags[:tags], judged_answers(shop.judgments)[:queries], texts_of(shop.products), changes
    )


def weights(model):
    return {name: weight.detach().clone() for name, weight in model.state_dict().items()}


def same(first, second):
    return first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)


def fresh(base, shop):
    return load_model(find_base(str(base)), shop.labels, seed=2)


def stop_at(step):
    def progress(done, of):
        if done == step:
            raise StoppedError

    return progress


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"precision": "bf16", "ema": 0.9, "accumulation": 2},
        {"adapter": "lora", "early_stopping": 3, "evaluate": "steps", "evaluate_steps": 2},
        {"adapter": "adalora", "max_steps": 12, "evaluate": "epoch"},
    ],
    ids=["plain", "bf16-average-accumulated", "lora-best", "adalora"],
)
def test_a_resumed_run_equals_an_uninterrupted_one(change, shop, tiny_base, tokenizer, tmp_path):
    # 10 queries in batches of 2: epochs end at steps 5 and 10, checkpoints lie within and at an epoch's end.
    settings = replace(SHORT, checkpoint_steps=5 if "adapter" in change else 2, **change)
    examples = examples_of(shop, queries=10)
    held = HeldOut.of(shop)
    straight = fresh(tiny_base, shop)
    whole = train(straight, tokenizer, examples, settings, held=held, run=Run(tmp_path / "straight"))
    (tmp_path / "stopped").mkdir()
    for at in (3, 6):
        model = fresh(tiny_base, shop)
        run = Run(tmp_path / "stopped", resume=at != 3 and settings.checkpoint_steps == 2)
        with pytest.raises(StoppedError):
            train(model, tokenizer, examples, settings, stop_at(at), held=held, run=run)
    model = load_model(find_base(str(tiny_base)), shop.labels, seed=9)
    again = train(model, tokenizer, examples, settings, held=held, run=Run(tmp_path / "stopped", resume=True))
    assert same(weights(straight), weights(model))
    assert (again.steps, again.losses, again.held, again.best_step) == (
        whole.steps, whole.losses, whole.held, whole.best_step,
    )  # fmt: skip
    lines = [(tmp_path / name / training.METRICS).read_text() for name in ("straight", "stopped")]
    assert lines[0] == lines[1]
    assert not same(weights(straight), weights(fresh(tiny_base, shop)))


@pytest.mark.parametrize("part", ["tags", "queries"])
def test_either_head_alone_resumes(part, shop, tiny_base, tokenizer, tmp_path):
    settings = replace(SHORT, checkpoint_steps=3)
    examples = examples_of(shop, **{part: 0})
    straight, model = fresh(tiny_base, shop), fresh(tiny_base, shop)
    train(straight, tokenizer, examples, settings)
    with pytest.raises(StoppedError):
        train(model, tokenizer, examples, settings, stop_at(4), run=Run(tmp_path))
    model = fresh(tiny_base, shop)
    train(model, tokenizer, examples, settings, run=Run(tmp_path, resume=True))
    assert same(weights(straight), weights(model))


def test_only_the_same_run_is_resumed(shop, tiny_base, tokenizer, tmp_path):
    settings = replace(SHORT, checkpoint_steps=2)
    with pytest.raises(EndcapError, match="no checkpoint to go on from"):
        train(fresh(tiny_base, shop), tokenizer, examples_of(shop), settings, run=Run(tmp_path, resume=True))
    with pytest.raises(StoppedError):
        train(fresh(tiny_base, shop), tokenizer, examples_of(shop), settings, stop_at(5), run=Run(tmp_path))
    other = replace(settings, learning_rate=0.5)
    with pytest.raises(InvalidInputError, match=r"learning_rate: got 0.5; the run in .* has 0.001"):
        train(fresh(tiny_base, shop), tokenizer, examples_of(shop), other, run=Run(tmp_path, resume=True))
    # The last checkpoint was being written when the power went: the one before it counts.
    (tmp_path / "checkpoints" / "checkpoint-4" / "trainer_state.json").write_text('{"log_his')
    first = []
    train(fresh(tiny_base, shop), tokenizer, examples_of(shop), replace(settings, seconds=600),
          lambda done, of: first.append(done), run=Run(tmp_path, resume=True))  # fmt: skip
    assert first[0] == 3


def test_accumulated_batches_weigh_by_what_they_hold(shop, still_base, tokenizer):
    settings = replace(SHORT, max_steps=1, accumulation=2, clip=0.0, learning_rate=1e-3, warmup=0.0)
    examples = examples_of(shop, tags=12, queries=12)  # batches of 8 and of 4
    model = fresh(still_base, shop)
    classes = {label: index for index, label in enumerate(model.labels)}
    dataset = JointDataset(examples, tokenizer, classes, settings.seed)
    settings = replace(settings, batch_size=round(8 * dataset.items_per_query()))
    batches = [dataset.collate(one) for one in JointBatches(dataset.lengths(), 12, (8, 8), settings.seed)]
    assert sorted(len(batch["query_ids"]) for batch in batches) == [4, 8]
    counts = [batch_counts(batch) for batch in batches]
    total = torch.zeros(())
    for batch, count in zip(batches, counts, strict=True):
        for name, loss in batch_losses(model, batch, settings).items():
            weight = loss_weights(settings)[name]
            total = total + weight * loss * count[name] / sum(one[name] for one in counts)
    total.backward()
    right = {name: one.grad for name, one in model.named_parameters()}
    seen = {}

    class Look(training.AfterStep):
        def on_optimizer_step(self, args, state, control, model=None, **rest):
            seen.update((name, one.grad.clone()) for name, one in model.named_parameters())

    trained = fresh(still_base, shop)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(training, "AfterStep", Look)
        train(trained, tokenizer, examples, settings)
    assert seen.keys() == right.keys()
    for name, gradient in seen.items():
        torch.testing.assert_close(gradient, right[name], rtol=1e-4, atol=1e-6)


def test_clipping_shortens_the_step_of_a_long_gradient(shop, still_base, tokenizer):
    lengths = []

    class Look(training.AfterStep):
        def on_optimizer_step(self, args, state, control, model=None, **rest):
            lengths.append(math.sqrt(sum(float((one.grad**2).sum()) for one in model.parameters())))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(training, "AfterStep", Look)
        for clip in (0.0, 0.01):
            settings = replace(SHORT, max_steps=1, clip=clip)
            train(fresh(still_base, shop), tokenizer, examples_of(shop), settings)
    assert lengths[0] > 0.1
    assert lengths[1] == pytest.approx(0.01, rel=1e-3)


def test_bf16_multiplies_in_bfloat16_and_answers_in_float32(shop, tiny_base, tokenizer):
    kinds = {}

    def watch(module, inputs, output):
        kinds[module.training] = output.dtype

    for precision, inner in (("bf16", torch.bfloat16), ("fp32", torch.float32)):
        model = fresh(tiny_base, shop)
        hook = model.bert.encoder.layer[0].intermediate.dense.register_forward_hook(watch)
        answers = []
        head = model.classifier.register_forward_hook(lambda *_: None)
        with pytest.MonkeyPatch.context() as patch:
            from endcap_export import losses

            right = losses.tag_loss
            patch.setattr(losses, "tag_loss", lambda logits, *rest, right=right, answers=answers: (
                answers.append(logits.dtype), right(logits, *rest))[1])  # fmt: skip
            run = train(model, tokenizer, examples_of(shop), replace(SHORT, max_steps=1, precision=precision))
        hook.remove()
        head.remove()
        assert run.precision == precision
        assert kinds[True] == inner
        assert set(answers) == {torch.float32}
        # What is left is a plain model, and so are its weights.
        assert model.bert.embeddings.word_embeddings.weight.dtype == torch.float32
        ids = torch.ones(2, 4, dtype=torch.int64)
        with torch.no_grad():
            embedding, logits = model(ids, ids)
            assert torch.equal(embedding, type(model).forward(model, ids, ids)[0])
        assert logits.dtype == torch.float32
    assert resolve_precision("auto") in ("fp32", "bf16")


def test_averaged_weights_are_the_moving_average_of_each_step(shop, still_base, tokenizer):
    steps = []

    class Look(training.AfterStep):
        def on_optimizer_step(self, args, state, control, model=None, **rest):
            super().on_optimizer_step(args, state, control, model=model, **rest)
            steps.append(weights(model))

    model = fresh(still_base, shop)
    average = weights(model)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(training, "AfterStep", Look)
        train(model, tokenizer, examples_of(shop), replace(SHORT, max_steps=4, ema=0.3))
    for step, now in enumerate(steps):
        decay = min(0.3, (1 + step) / (10 + step))
        average = {name: decay * average[name] + (1 - decay) * now[name] for name in average}
    for name, weight in weights(model).items():
        torch.testing.assert_close(weight, average[name], rtol=1e-5, atol=1e-7)
    assert not same(weights(model), steps[-1])


def test_early_stopping_keeps_the_best_weights(shop, tiny_base, tokenizer, monkeypatch):
    figures = iter([0.5, 0.9, 0.8, 0.7, 0.6])
    looked = []

    def figure(self, model, tokenizer):
        looked.append(weights(model))
        return {"held_f1": (value := next(figures)), "held": value}

    monkeypatch.setattr(HeldOut, "figures", figure)
    settings = replace(SHORT, max_steps=50, evaluate="steps", evaluate_steps=2, early_stopping=2)
    model = fresh(tiny_base, shop)
    run = train(model, tokenizer, examples_of(shop), settings, held=HeldOut.of(shop))
    assert (run.steps, run.best_step, len(looked)) == (8, 4, 4)
    assert [row["held"] for row in run.held] == [0.5, 0.9, 0.8, 0.7]
    assert same(weights(model), looked[1])


@pytest.mark.parametrize("adapter", ["lora", "adalora"])
def test_an_adapter_alone_changes_the_trunk_and_is_merged_exactly(adapter, shop, tiny_base, tokenizer):
    from endcap_export.adapters import Adapter

    settings = replace(SHORT, adapter=adapter, adapter_rank=4, max_steps=10, learning_rate=0.02)
    model = fresh(tiny_base, shop)
    before = weights(model)
    answers = {}

    class Watched(Adapter):
        def merge(self):
            for name, value in weights(model).items():
                if ".base_layer." in name:
                    assert torch.equal(value, before[name.replace(".base_layer", "")])
            model.eval()
            answers["adapted"] = self.read()
            super().merge()
            answers["merged"] = self.read()

        @torch.no_grad()
        def read(self):
            ids = torch.arange(12).reshape(2, 6) + 5
            return model(ids, torch.ones_like(ids))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(training, "Adapter", Watched)
        train(model, tokenizer, examples_of(shop), settings)
    for adapted, merged in zip(answers["adapted"], answers["merged"], strict=True):
        assert (adapted - merged).abs().max() < 1e-5
    after = weights(model)
    assert after.keys() == before.keys()
    changed = {name for name in after if not torch.equal(after[name], before[name])}
    matrices = [f"attention.self.{kind}" for kind in ("query", "key", "value")]
    matrices += ["attention.output.dense", "intermediate.dense", "output.dense"]
    expected = {f"bert.encoder.layer.{layer}.{name}.weight" for layer in (0, 1) for name in matrices}
    head = {"classifier.weight", "classifier.bias"}
    assert head <= changed <= expected | head
    if adapter == "lora":
        assert changed == expected | head
        for name in expected:
            assert torch.linalg.matrix_rank(after[name] - before[name], rtol=1e-4) <= 4
    assert all(one.requires_grad for one in model.parameters())


def test_a_short_run_is_no_run_for_adalora(shop, tiny_base, tokenizer):
    with pytest.raises(InvalidInputError, match="adapter: got 'adalora'; at least 5 steps"):
        train(fresh(tiny_base, shop), tokenizer, examples_of(shop),
              replace(SHORT, max_steps=3, adapter="adalora"))  # fmt: skip


def test_processes_see_different_batches_and_equally_many():
    lengths = JointBatches(torch.arange(70).numpy(), 0, (1, 10), 3)
    first, second = ShardedBatches(lengths, 0, 2), ShardedBatches(lengths, 1, 2)
    for epoch in (0, 1):
        first.set_epoch(epoch)
        second.set_epoch(epoch)
        dealt = [list(first), list(second)]
        assert [len(one) for one in dealt] == [len(first), len(second)] == [3, 3]
        seen = [index for batches in dealt for batch in batches for index in batch]
        assert len(seen) == len(set(seen)) == 60
    with pytest.raises(EndcapError, match="7 batches cannot be split over 8 processes"):
        ShardedBatches(lengths, 0, 8)


def test_a_run_leaves_its_config_metrics_and_versions(shop, tiny_base, tmp_path):
    pytest.importorskip("tensorboard")
    settings = replace(SHORT, report_to="tensorboard", checkpoint_steps=3)
    (tmp_path / "mine.txt").write_text("stays")
    trained = train_encoder(shop, str(tiny_base), tmp_path, settings)
    from endcap_export.training_config import CONFIG, read_config

    config = read_config(tmp_path / CONFIG)
    assert (config.base, config.training) == (str(tiny_base), settings)
    rows = [json.loads(line) for line in (tmp_path / training.METRICS).read_text().splitlines()]
    assert [row["step"] for row in rows if "tags_loss" in row] == [1, 7]
    assert {"held_f1", "held_ndcg10", "held"} <= rows[-1].keys()
    assert list((tmp_path / training.TENSORBOARD).glob("events.*"))
    assert {"torch", "transformers", "python"} <= trained.record["versions"].keys()
    assert trained.record["training"]["held"][-1]["held"] == rows[-1]["held"]
    left = {path.name for path in tmp_path.iterdir()}
    assert left == {"config.json", "config.toml", "endcap.json", "metrics.jsonl", "mine.txt",
                    "model.safetensors", "tensorboard", "tokenizer.json"}  # fmt: skip
    with pytest.raises(EndcapError, match="that run is finished, after 7 steps"):
        train_encoder(shop, str(tiny_base), tmp_path, settings, resume=True)


def test_an_absent_reporter_is_named():
    with pytest.raises(
        InvalidInputError, match=r"report_to: got 'wandb'; it must be installed \(pip install"
    ):
        training.check_reporter("wandb")
