"""Tags and rankings are scored as seqeval and hand-made orders say; losses are losses."""

from __future__ import annotations

import math

import numpy as np
import pytest
from endcap_export.bio import TaggedQuery
from endcap_export.data import Judgment
from endcap_export.evaluate import bootstrap
from endcap_export.evaluate.ranking import Answer, by_chance, judged_queries, measure, ndcg
from endcap_export.evaluate.tags import TagRun, by_dictionary, f1, f1_loss, precision, recall
from endcap_rerank.errors import EndcapError


def query(text, *labels):
    starts, at = [], 0
    for word in text.split():
        starts.append(at)
        at += len(word) + 1
    return TaggedQuery(text, tuple(starts), labels)


GOLD = [
    query("red steel lamp", "B-color", "B-material", "B-type"),
    query("north face jacket", "B-brand", "I-brand", "B-type"),
    query("cheap lamp", "O", "B-type"),
    query("the", "O"),
]
GUESS = [
    ["B-color", "B-color", "B-type"],
    ["B-brand", "O", "B-type"],
    ["I-type", "B-type"],
    ["B-brand"],
]


def test_strict_scores_are_those_of_seqeval():
    metrics = pytest.importorskip("seqeval.metrics.v1")
    from seqeval.scheme import IOB2

    means = TagRun.of(GOLD, GUESS).counts().mean(axis=0)
    expected = metrics.precision_recall_fscore_support(
        [list(one.labels) for one in GOLD], GUESS, average="micro", scheme=IOB2, zero_division=0
    )
    assert (float(precision(means)), float(recall(means)), float(f1(means))) == pytest.approx(expected[:3])
    _, _, by_kind, support = metrics.precision_recall_fscore_support(
        [list(one.labels) for one in GOLD], GUESS, average=None, scheme=IOB2, zero_division=0
    )
    kinds = sorted({"color", "material", "type", "brand"})
    run = TagRun.of(GOLD, GUESS)
    assert [float(f1(run.counts(kind).mean(axis=0))) for kind in kinds] == pytest.approx(list(by_kind))
    assert [run.counts(kind)[:, 2].sum() for kind in kinds] == list(support)


def test_confusion_and_outcomes_count_every_token_and_span():
    run = TagRun.of(GOLD, GUESS)
    names, table = run.confusion()
    assert table.sum() == sum(len(one.labels) for one in GOLD)
    assert table[names.index("material"), names.index("color")] == 1
    assert table[names.index("O"), names.index("type")] == 1  # a lone I- is wrong as a token
    outcomes = run.outcomes()
    assert outcomes["material"]["wrong type"] == 1
    assert outcomes["brand"]["wrong ends"] == 1
    assert outcomes["brand"]["spurious"] == 1
    assert outcomes["type"]["found"] == 3
    gold = sum(sum(row[name] for name in row if name != "spurious") for row in outcomes.values())
    assert gold == run.counts()[:, 2].sum()


def test_a_type_that_the_model_does_not_know_is_missed():
    run = TagRun.of([query("size ten", "B-size", "I-size")], [["O", "O"]])
    assert run.outcomes()["size"]["missed"] == 1
    assert float(f1(run.counts().mean(axis=0))) == 0.0


def test_a_dictionary_knows_only_what_it_saw():
    run = by_dictionary([query("Red lamp new", "B-color", "B-type", "O")], GOLD)
    assert run.predicted == (("B-color", "B-type", "O"),)


def test_an_interval_holds_the_value_and_narrows_with_more_queries():
    few = bootstrap.mean(np.tile([0.0, 1.0], 10))
    many = bootstrap.mean(np.tile([0.0, 1.0], 1000))
    assert few.value == many.value == 0.5
    assert few.low < few.value < few.high
    assert many.high - many.low < (few.high - few.low) / 3


def test_paired_losses_ignore_what_queries_have_in_common():
    before = np.random.default_rng(0).random(200)
    lost = bootstrap.loss(before, before - 0.1)
    assert (lost.value, lost.low, lost.high) == pytest.approx((0.1, 0.1, 0.1))
    assert bootstrap.relative_loss(before, before * 0.5).value == pytest.approx(0.5)
    assert bootstrap.relative_loss(np.zeros(5), np.zeros(5)).value == 0.0


def test_a_worse_run_has_a_positive_loss():
    right = TagRun.of(GOLD, [one.labels for one in GOLD])
    assert f1_loss(right, TagRun.of(GOLD, GUESS)).value > 0
    assert f1_loss(right, right).value == 0.0
    half = f1_loss(right, TagRun.of(GOLD, GUESS), relative=True)
    assert half.low <= half.value <= half.high


JUDGMENTS = [
    *(Judgment("lamp", f"p{place}", grade) for place, grade in enumerate((3, 2, 1, 1, 1))),
    Judgment("chair", "p9", 3),
    Judgment("gone", "unknown", 3),
]


def judged():
    return judged_queries(JUDGMENTS, {f"p{place}": place for place in range(200)}.get)


def test_judged_queries_leave_out_products_of_no_catalogue():
    queries = judged()
    assert [one.query for one in queries] == ["chair", "lamp"]
    assert queries[1].gains.tolist() == [3.0, 1.0, 0.0, 0.0, 0.0]
    assert queries[1].relevant.tolist() == [True, False, False, False, False]


def test_each_metric_against_an_order_made_by_hand():
    top = np.arange(100, 200)
    chair, lamp = top.copy(), top.copy()
    chair[3], lamp[50] = 9, 0
    answers = [Answer(chair, np.zeros(1)), Answer(lamp, np.array([0.1, 0.2, 0.0, 0.0, 0.0]))]
    found = measure(judged(), answers)
    ideal = 3 + 1 / np.log2(3)
    assert np.isnan(found["ndcg10"][0])  # one judged product cannot be in a wrong order
    assert found["ndcg10"][1] == pytest.approx((1 + 3 / np.log2(3)) / ideal)
    assert found["mrr"].tolist() == pytest.approx([1 / 4, 1 / 51])
    assert found["recall10"].tolist() == [1.0, 0.0]
    assert found["recall100"].tolist() == [1.0, 1.0]


def test_chance_finds_as_much_as_it_looks_at():
    found = by_chance(judged() * 100, 200)
    assert np.nanmean(found["recall100"]) == pytest.approx(0.5, abs=0.08)
    assert np.nanmean(found["recall10"]) == pytest.approx(0.05, abs=0.03)


def test_nothing_to_read_is_an_error_that_names_the_options():
    from endcap_export.evaluate.reading import read_set

    with pytest.raises(EndcapError, match="--tags"):
        read_set()


def test_a_tag_file_alone_is_read_whole_with_labels_of_its_own(tmp_path):
    from endcap_export.evaluate.reading import read_set

    file = tmp_path / "test.bio"
    file.write_text("red\tB-color\nlamp\tB-novelty\n\nlamp\tO\n")
    read = read_set(tags=file)
    assert [one.labels for one in read.tags] == [("B-color", "B-novelty"), ("O",)]
    assert not read.products
    (tmp_path / "dev.bio").write_text("lamp\tO\n")
    (tmp_path / "train.bio").write_text("red\tB-color\n")
    folder = read_set(tags=tmp_path)
    assert [len(folder.tags), len(folder.training_tags)] == [1, 1]


def test_a_folder_without_a_held_out_file_says_what_it_has(tmp_path):
    from endcap_export.evaluate.reading import read_set

    (tmp_path / "tags.bio").write_text("lamp\tO\n")
    with pytest.raises(EndcapError, match=r"tags\.bio; one dev\.bio"):
        read_set(tags=tmp_path)


def test_ndcg_of_best_worst_and_hand_made_orders():
    assert ndcg(np.array([3.0, 1.0, 0.0])) == pytest.approx(1.0)
    expected = (1 / math.log2(3) + 3 / math.log2(4)) / (3 / math.log2(2) + 1 / math.log2(3))
    assert ndcg(np.array([0.0, 1.0, 3.0])) == pytest.approx(expected)
    assert ndcg(np.zeros(4)) == 0.0


def test_only_the_first_k_count():
    gains = np.array([0.0] * 10 + [1.0])
    assert ndcg(gains) == 0.0
    assert ndcg(gains, k=11) == pytest.approx(1 / math.log2(12))


@pytest.fixture(scope="module")
def small_shop():
    """60 products whose vectors are random, and their searchable index."""
    from endcap_export.evaluate.systems import indexed
    from tiny import tiny_products

    vectors = np.random.default_rng(3).standard_normal((60, 8)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    with indexed(tiny_products(60), vectors) as index:
        yield index, vectors


def test_every_system_ranks_the_whole_catalogue_and_the_judged_products(small_shop):
    from endcap_export.evaluate.systems import as_served, by_vectors, by_words

    index, vectors = small_shop
    queries = judged_queries([Judgment("red tent", f"p{at:04d}", at % 3) for at in range(12)], index.row)
    asked = vectors[[5]]
    nearest = next(by_vectors(vectors, asked, queries))
    assert nearest.top[0] == 5
    assert nearest.judged.tolist() == pytest.approx((vectors[queries[0].rows] @ asked[0]).tolist())
    worded = next(by_words(index, ["red tent"], queries))
    found = [index.product(row) for row in worded.top]
    assert found
    assert all("red" in product.title or "Tent" in product.category for product in found)
    served = next(as_served(index, ["red tent"], asked, queries))
    retrieved = index.retrieve("red tent", asked[0], count=200)
    assert served.top.tolist() == retrieved.rows.tolist()
    scores = dict(zip(retrieved.rows.tolist(), retrieved.fused.tolist(), strict=True))
    assert served.judged.tolist() == pytest.approx([scores[row] for row in queries[0].rows.tolist()])


def test_products_that_were_not_retrieved_stand_below_the_one_that_the_query_names(small_shop):
    from endcap_export.evaluate.systems import judged_scores

    index, vectors = small_shop
    retrieved = index.retrieve("p0007", -vectors[7], count=5)
    scores = judged_scores(index, "p0007", -vectors[7], np.arange(60), retrieved).fused
    assert scores.argmax() == 7
    assert np.sort(scores)[-2] <= 0.5
