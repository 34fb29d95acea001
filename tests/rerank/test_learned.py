import copy
import json
from dataclasses import replace

import numpy as np
import pytest
from endcap_rerank.errors import ReleaseError
from endcap_rerank.features import QUERY_FEATURES, Asked
from endcap_rerank.index import Candidates
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
}


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


def test_the_first_hundred_are_spread_anew_and_the_others_stay(ranker):
    vector = search_request("acme lamp").embedding
    found = ranker.index.retrieve("acme lamp", vector, count=200)
    told = ranker.learned.relevance("acme lamp", found, ranker.index)
    assert told.parts.sum(axis=0) == pytest.approx(told.values, abs=1e-6)
    assert told.values[:100].max() == pytest.approx(found.fused[0], abs=1e-6)
    assert told.values[:100].min() == pytest.approx(found.fused[99], abs=1e-6)
    assert told.values[100:].tolist() == found.fused[100:].tolist()
    assert np.argsort(-told.values[:100]).tolist() != list(range(100))
    named = np.zeros(200, bool)
    named[[0, 7]] = True
    told = ranker.learned.relevance("acme lamp", replace(found, named=named), ranker.index)
    assert told.values[named].tolist() == found.fused[named].tolist()
    assert told.values[102:].tolist() == found.fused[102:].tolist()


def test_nothing_found_has_no_relevance(ranker):
    nothing = np.zeros(0, np.float32)
    found = Candidates(np.zeros(0, np.int64), nothing, nothing, nothing)
    assert len(ranker.learned.relevance("lamp", found, ranker.index).values) == 0


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
        (lambda one: one.update(tables=[]), r"learned\.tables"),
        (lambda one: one.pop("cuts"), r"cuts and tables"),
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
        assert set(explanation["relevance"]) <= {*DOCUMENT["cuts"], "base", "fused"}
    found = ranker.index.retrieve("acme lamp", request.embedding, count=200)
    both = [ranker.index.product(int(row)).title.casefold() for row in found.rows[:100]]
    values = ranker.learned.relevance("acme lamp", found, ranker.index).values[:100]
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
