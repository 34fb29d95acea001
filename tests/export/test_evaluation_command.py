"""``endcap evaluate`` on the tiny shop: a trained encoder, a release, a tag file alone."""

from __future__ import annotations

import json
import math

import pytest
from typer.testing import CliRunner

pytest.importorskip("torch", reason="the `train` extra is not installed")

pytestmark = pytest.mark.train


def evaluated(arguments, output):
    from endcap.cli import app

    done = CliRunner().invoke(app, ["evaluate", *map(str, arguments), "--output", str(output)])
    if done.exit_code:
        return done, None, ""
    report = json.loads((output / "evaluation.json").read_text())
    return done, report, (output / "evaluation.html").read_text()


@pytest.fixture(scope="module")
def of_trained(trained, shop_folder, tmp_path_factory):
    folder = tmp_path_factory.mktemp("evaluated")
    arguments = [trained.path, "--data", shop_folder, "--vectors", folder / "vectors"]
    _, report, page = evaluated(arguments, folder)
    return report, page


def test_a_trained_encoder_is_held_against_every_rival(of_trained):
    figures = of_trained[0]["figures"]
    for name in ("ndcg10", "mrr", "recall10", "recall100", "hybrid_ndcg10", "hybrid_recall100"):
        beside = figures[name]["baselines"]
        assert {"random", "bm25", "untuned", "one typo"} <= set(beside)
        assert figures[name]["low"] <= figures[name]["value"] <= figures[name]["high"]
    assert {"random", "dictionary", "one typo"} <= set(figures["f1"]["baselines"])
    assert figures["f1"]["value"] > figures["f1"]["baselines"]["random"]
    assert figures["f1_color"]["baselines"]["support"] > 0
    assert all(math.isfinite(one["value"]) for one in figures.values())


def test_typos_cost_a_model_that_knows_whole_words(of_trained):
    figures = of_trained[0]["figures"]
    assert figures["typo_f1_loss"]["value"] > 0
    assert figures["typo_f1_loss"]["value"] == pytest.approx(
        1 - figures["f1"]["baselines"]["one typo"] / figures["f1"]["value"]
    )
    assert figures["typo_recall10_loss"]["low"] <= figures["typo_recall10_loss"]["high"]


def test_the_page_needs_no_other_file_and_shows_each_part(of_trained):
    page = of_trained[1]
    for title in ("F1 by type", "Which type is taken for which", "nDCG@10 by words", "Worst", "tag loss"):
        assert title in page
    assert "<svg" in page
    assert 'src="http' not in page
    assert "<link" not in page


def test_a_tag_file_alone_is_enough(trained, shop_folder, tmp_path):
    done, report, page = evaluated([trained.path, "--tags", shop_folder / "tags.bio"], tmp_path)
    assert {"f1", "precision", "recall"} <= set(report["figures"])
    assert "ndcg10" not in report["figures"]
    assert "no judgments were given" in report["notes"]
    assert "no judgments were given" in page
    assert "no judgments were given" in done.output


def test_a_release_is_evaluated_on_its_own_index_without_products(tmp_path, shop_folder):
    from tiny import tiny_products, tiny_release

    release = tiny_release(tmp_path / "releases", tiny_products(120))
    arguments = [release.path, "--judgments", shop_folder / "judgments.csv", "--precision", "fp32"]
    _, report, _ = evaluated(arguments, tmp_path)
    figures = report["figures"]
    assert figures["ndcg10"]["value"] > figures["ndcg10"]["baselines"]["random"]
    assert "untuned" not in figures["ndcg10"]["baselines"]
    assert "no untuned encoder" in report["notes"]


def test_a_folder_that_is_no_model_says_what_would_be_one(tmp_path, shop_folder):
    done, report, _ = evaluated([tmp_path, "--tags", shop_folder / "tags.bio"], tmp_path / "out")
    assert done.exit_code == 1
    assert report is None
    assert "endcap train" in done.output
