"""``endcap bench quality`` on the tiny shop in place of the real data sets."""

from __future__ import annotations

import json
import math
import shutil

import pytest

pytest.importorskip("torch", reason="the `train` extra is not installed")

from endcap_export.trained import TrainedEncoder
from endcap_rerank.errors import EndcapError, InvalidInputError

from benchmarks import quality, quality_parts

pytestmark = pytest.mark.train

TRAINING = """base = {base}
[training]
max_steps = {steps}
batch_size = 16
tag_batch_size = 32
learning_rate = 3e-3
report_to = "none"
evaluate = "never"
seed = 1
"""


@pytest.fixture(scope="module")
def place(tmp_path_factory, shop_folder, tiny_base):
    """Data, configs and encoders in the layout of the real ones."""
    root = tmp_path_factory.mktemp("quality")
    for name in ("homedepot", "queryner", "zh_utterances"):
        (root / name).mkdir()
    for name in ("products.jsonl", "judgments.csv"):
        shutil.copy(shop_folder / name, root / "homedepot" / name)
    blocks = (shop_folder / "tags.bio").read_text().split("\n\n")
    for name in ("queryner", "zh_utterances"):
        (root / name / "train.bio").write_text("\n\n".join(blocks[10:]))
        (root / name / "dev.bio").write_text("\n\n".join(blocks[:10]) + "\n")
    (root / "configs").mkdir()
    for part in quality_parts.TRAINED:
        text = TRAINING.format(base=json.dumps(str(tiny_base)), steps=60)
        (root / "configs" / f"{part}.toml").write_text(text)
    (root / "configs" / "joint_start.toml").write_text(
        TRAINING.format(base=json.dumps(str(tiny_base)), steps=20)
    )
    (root / "configs" / "student3.toml").write_text("[distillation]\nmax_steps = 2\nproducts = 20\n")
    return root


def run(place, **options):
    return quality.measure(
        place, place / "encoders", configs=place / "configs", runs=20, vectors=None, **options
    )


@pytest.fixture(scope="module")
def report(place):
    # The tiny teacher has two layers.
    patch = pytest.MonkeyPatch()
    patch.setattr(quality_parts, "LAYERS", 1)
    yield run(place)
    patch.undo()


def test_a_part_of_two_runs_goes_on_from_the_first(report, place, tiny_base):
    joint, start = (TrainedEncoder.open(place / "encoders" / name) for name in ("joint", "joint_start"))
    assert joint.record["base"] == str(start.path)
    assert joint.record["untuned"] == start.record["untuned"] == str(tiny_base)
    both = [one.record["training"]["seconds"] for one in (joint, start)]
    assert report.figures["joint_training_seconds"].value == pytest.approx(sum(both))


def test_every_figure_of_the_issue_is_there_and_finite(report):
    assert set(quality.GOALS) <= set(report.figures)
    assert all(math.isfinite(figure.value) for figure in report.figures.values())
    for part in (*quality_parts.TRAINED, "student3"):
        assert report.figures[f"{part}_training_seconds"].value > 0
    for name, goal in quality.GOALS.items():
        assert report.figures[name].goal == goal


def test_figures_come_with_intervals_and_rivals(report):
    timeless = [name for name in quality.GOALS if not name.endswith(("seconds", "max_abs"))]
    for name in timeless:
        figure = report.figures[name]
        assert figure.low <= figure.high
        assert figure.baselines
    assert {"random", "bm25", "untuned"} <= set(report.figures["homedepot_dev_ndcg10"].baselines)
    assert {"random", "dictionary"} <= set(report.figures["zh_dev_f1"].baselines)


def test_int8_of_a_learned_model_agrees_with_fp32(report):
    assert abs(report.figures["int8_f1_loss"].value) < 0.2
    assert report.figures["onnx_parity_max_abs"].met


def test_a_student_that_learned_nothing_loses(place, report, tiny_base, tmp_path):
    from endcap_export.trained import TrainedEncoder, train_encoder
    from endcap_export.training_settings import TrainingSettings

    from benchmarks.quality_forms import form_figures

    shop = quality_parts.shop_of("joint", quality_parts.Data.of(place))
    settings = TrainingSettings(max_steps=1, learning_rate=1e-6, evaluate="never", report_to="none")
    worse = train_encoder(shop, str(tiny_base), tmp_path / "worse", settings)
    teacher = TrainedEncoder.open(place / "encoders" / "joint")
    found = form_figures(teacher, worse, shop, tmp_path, runs=20)
    lost = found["student3_f1_loss"]
    assert lost.value == pytest.approx(lost.baselines["fp32"] - lost.baselines["student3"])
    assert lost.value > 0.3
    assert lost.low > 0
    assert found["student3_ndcg_loss"].value > 0


def test_what_is_trained_is_not_trained_again_until_its_config_changes(place, report):
    weights = place / "encoders" / "zh" / "model.safetensors"
    before = weights.stat().st_mtime_ns
    again = run(place, only=["zh"], train=False)
    assert again.figures["zh_dev_f1"].value == report.figures["zh_dev_f1"].value
    assert "Not asked for: joint, tags" in again.notes
    assert weights.stat().st_mtime_ns == before
    config = place / "configs" / "zh.toml"
    kept = config.read_text()
    config.write_text(kept.replace("3e-3", "2e-3"))
    with pytest.raises(EndcapError, match=r"zh is left out.*other learning_rate"):
        run(place, only=["zh"], train=False)
    config.write_text(kept)


def test_an_unknown_part_is_named(place):
    with pytest.raises(InvalidInputError, match="student9"):
        run(place, only=["student9"])
