import copy
import json
from dataclasses import replace

import numpy as np
import pytest
from endcap_rerank.errors import ReleaseError
from endcap_rerank.features import QUERY_FEATURES, Asked
from endcap_rerank.learned import LearnedRelevance
from endcap_rerank.ranker import Ranker
from endcap_rerank.release import RANKING
from endcap_rerank.weights import RankingWeights
from ranking_shop import embed, open_ranker, search_request

DOCUMENT = {
    "format": 1,
    "cuts": {"dense": [0.25, 0.5], "coverage": [0.5], "length": [1.0]},
    "tables": [
        {"features": ["coverage", "dense"], "values": [[0.0, 0.5, 1.0], [2.0, 4.0, 8.0]]},
        {"features": ["length"], "values": [0.25, -0.25]},
    ],
    "share": 1.0,
}
FUSED = np.array([1.0, 0.0, 0.5], np.float32)


def features(**given: list[float]) -> np.ndarray:
    """float32 [QUERY_FEATURES, n], 0 where nothing is given."""
    table = np.zeros((len(QUERY_FEATURES), len(next(iter(given.values())))), np.float32)
    for name, values in given.items():
        table[list(QUERY_FEATURES).index(name)] = values
    return table


def test_tables_are_looked_up_by_the_cuts_below_a_value():
    learned = LearnedRelevance.from_mapping(DOCUMENT)
    found = learned.contributions(
        features(dense=[0.25, 0.3, 0.9], coverage=[0.5, 0.6, 0.6], length=[1.0, 1.1, 0.0])
    )
    assert found.sum(axis=0).tolist() == [0.25, 4.0 - 0.25, 8.25]
    assert learned.names == ("dense", "coverage", "length")
    assert found[:, 1].tolist() == [2.0, 2.0, -0.25]  # a pair's value is shared by both features


def test_relevance_spans_the_request_and_named_products_lead():
    learned = LearnedRelevance.from_mapping(DOCUMENT)
    table = features(dense=[0.0, 0.9, 0.3], coverage=[0.0, 1.0, 1.0], length=[0.0, 0.0, 2.0])
    found = learned.scaled(learned.contributions(table), FUSED)
    assert found.values == pytest.approx([0.0, 1.0, 3.5 / 8.0])
    named = learned.scaled(learned.contributions(table), FUSED, np.array([True, False, False]))
    assert named.values == pytest.approx([0.5, 0.5, 3.5 / 16.0])
    mixed = LearnedRelevance.from_mapping({**DOCUMENT, "share": 0.75}).scaled(
        learned.contributions(table), FUSED
    )
    assert mixed.values == pytest.approx([0.25, 0.75, 0.75 * 3.5 / 8.0 + 0.125])
    for one in (found, named, mixed):
        assert one.parts.sum(axis=0) == pytest.approx(one.values, abs=1e-6)
    alike = learned.scaled(learned.contributions(features(dense=[0.1, 0.1])), FUSED[:2])
    assert alike.values.tolist() == [1.0, 1.0]


def broken(change) -> dict:
    document = copy.deepcopy(DOCUMENT)
    change(document)
    return document


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda one: one.update(format=9), r"learned\.format: got 9; 1"),
        (lambda one: one["cuts"].update(colour=[1.0]), r"learned\.cuts\.colour: known features"),
        (lambda one: one["cuts"].update(dense=[0.5, 0.5]), r"learned\.cuts\.dense: ascending"),
        (lambda one: one["tables"][0].update(features=["words"]), r"learned\.tables\.0"),
        (lambda one: one["tables"][1].update(values=[0.25]), r"learned\.tables\.1: got \(1,\); \(2,\)"),
        (lambda one: one["tables"][1].update(values=[0.25, float("nan")]), r"learned\.tables\.1"),
        (lambda one: one.update(share=0.0), r"learned\.share: got 0.0; above 0"),
        (lambda one: one.update(tables=[]), r"learned\.tables"),
        (lambda one: one.pop("cuts"), r"cuts, tables and share"),
    ],
)
def test_a_document_that_cannot_be_used_says_which_part(change, said):
    with pytest.raises(ReleaseError, match=said):
        LearnedRelevance.from_mapping(broken(change))


@pytest.fixture
def ranker(tmp_path) -> Ranker:
    (tmp_path / RANKING).write_text(json.dumps({"tags": 0.0, "learned": DOCUMENT}), "utf-8")
    return open_ranker(tmp_path)


def test_a_release_ranks_by_what_was_learned(ranker):
    assert ranker.weights == RankingWeights(tags=0.0)
    request = search_request(
        "acme lamp", k=50, diversity=0.0, options='{"explain": true, "boost": {"p9": 2}, "pin": ["p5"]}'
    )
    ranked = ranker.search(request)
    told = [json.loads(text) for text in ranked.explanations]
    for explanation, score in zip(told, ranked.scores.tolist(), strict=True):
        assert sum(explanation["terms"].values()) == pytest.approx(score, abs=1e-5)
        relevance = explanation["terms"].get("relevance", 0.0)
        assert sum(explanation["relevance"].values()) == pytest.approx(relevance, abs=1e-5)
        assert set(explanation["relevance"]) <= {*DOCUMENT["cuts"], "base"}
    found = ranker.index.retrieve("acme lamp", request.embedding, count=200)
    both = [ranker.index.product(int(row)).title.casefold() for row in found.rows]
    values = ranker.learned.relevance("acme lamp", found, ranker.index).values
    words = np.array([("acme" in title) + ("lamp" in title.split()) for title in both])
    assert values[words == 2].min() > values[words == 0].max()


def test_features_of_changed_products_are_those_of_released_ones(ranker):
    query, released = "acme red lamp 4 volt", ranker.index.row("p9")
    product = ranker.index.product(released)
    vector = embed(query).astype(np.float32)
    vector /= np.linalg.norm(vector)

    def measured() -> np.ndarray:
        found = ranker.index.retrieve(query, vector, count=288)
        row = ranker.index.row("p9")
        assert row in found.rows
        table = Asked.of(query, found).features(found.rows, found.dense, found.lexical, ranker.index)
        assert table.dtype == np.float32
        assert np.isfinite(table).all()
        return table[:, found.rows == row][:, 0]

    before = measured()
    product = replace(product, attributes={**product.attributes, "made": "anew"})
    ranker.upsert([(product, embed(product.encoder_text()).astype(np.float32))])
    assert ranker.index.row("p9") != released
    after = measured()
    same = [at for at, name in enumerate(QUERY_FEATURES) if name not in ("length", "unasked")]
    assert after[same] == pytest.approx(before[same], abs=0.02)
