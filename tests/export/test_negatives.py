"""Hard negatives: near the query, never a known answer, nor what is likely an unjudged one."""

from __future__ import annotations

import numpy as np
import pytest
from endcap_export.negatives import mine
from endcap_export.shop import Shop, ShopFiles, texts_of

from endcap.demo_shop import generate


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    """The demo shop: texts, positives of some queries, grades, and an encoder that counts words."""
    folder = tmp_path_factory.mktemp("demo")
    generate(folder, products=600, seed=7, shoppers=5)
    shop = Shop.load(ShopFiles.find(folder))
    texts = texts_of(shop.products)
    positives: dict[str, set[str]] = {}
    for judgment in shop.judgments:
        if judgment.relevance >= 2:
            positives.setdefault(judgment.query, set()).add(judgment.item)
    words = sorted({word for text in texts.values() for word in text.lower().split()})
    column = {word: number for number, word in enumerate(words)}
    projection = np.random.default_rng(0).normal(size=(len(words) + 1, 64)).astype(np.float32)

    def embed(these, *, products):
        vectors = np.stack(
            [
                sum(
                    (projection[column.get(word, len(words))] for word in text.lower().split()), projection[0]
                )
                for text in these
            ]
        )
        return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)

    return texts, positives, embed


def test_they_share_words_with_the_query_and_are_no_answers(demo):
    texts, positives, _ = demo
    queries = list(positives)[:60]
    mined = mine(queries, positives, texts, count=5)
    assert sum(len(items) == 5 for items in mined.values()) > 20
    for query, items in mined.items():
        assert not positives[query] & set(items)
        answers = {texts[item].casefold() for item in positives[query]}
        assert not answers & {texts[item].casefold() for item in items}
    random = np.random.default_rng(0)

    def shared(query, items):
        return np.mean([len(set(query.split()) & set(texts[item].lower().split())) for item in items])

    hard = np.mean([shared(query, items) for query, items in mined.items() if items])
    easy = np.mean([shared(query, random.choice(list(texts), 5)) for query in queries])
    assert hard > 5 * easy


def test_half_come_from_the_encoder(demo):
    texts, positives, embed = demo
    queries = list(positives)[:20]
    lexical = mine(queries, positives, texts, count=50, pool=50)
    both = mine(queries, positives, texts, embed=embed, count=10)
    beside = [set(both[query]) - set(lexical[query]) for query in queries]
    assert sum(map(len, beside)) > 20
    assert all(len(items) == len(set(items)) <= 10 for items in both.values())
    assert not any(positives[query] & set(both[query]) for query in queries)


def test_the_draw_depends_on_the_seed_alone(demo):
    texts, positives, embed = demo
    queries = list(positives)[:20]
    draws = [mine(queries, positives, texts, embed=embed, count=4, seed=seed) for seed in (1, 1, 2)]
    assert draws[0] == draws[1] != draws[2]


TEXTS = {
    "right": "red camping tent",
    "twin": "Red  Camping Tent",
    "first": "red tent camping set",
    "next": "red tent bag with very long other words in it",
    "far": "red lamp",
    "other": "oak table",
}


def vectors(scores):
    """An encoder under which the query's cosine to each product is as given."""

    def embed(these, *, products):
        if not products:
            return np.array([[1.0, 0.0]] * len(these), np.float32)
        cosines = np.array([scores[item] for item in TEXTS])
        return np.stack([cosines, np.sqrt(1 - cosines**2)], axis=1).astype(np.float32)

    return embed


def test_the_nearest_few_the_twins_and_what_scores_like_an_answer_are_passed_over():
    scores = {"right": 0.8, "twin": 0.8, "first": 0.9, "next": 0.78, "far": 0.7, "other": 0.1}
    options = {"embed": vectors(scores), "count": 9, "skip": 0}

    def found(**changed):
        return set(mine(["red tent"], {"red tent": {"right"}}, TEXTS, **{**options, **changed})["red tent"])

    assert found() >= {"far", "other"}
    assert not found() & {"right", "twin"}
    dense_only = mine(["xyz"], {"xyz": {"right"}}, TEXTS, **options)["xyz"]  # no word in common
    assert set(dense_only) == {"far", "other"}  # 0.78 is above 0.95 of 0.8
    assert set(mine(["xyz"], {"xyz": {"right"}}, TEXTS, **options | {"share": 2})["xyz"]) == {
        "first", "next", "far", "other"
    }  # fmt: skip
    skipped = mine(["xyz"], {"xyz": {"right"}}, TEXTS, **options | {"skip": 3})["xyz"]
    assert skipped == ["other"]


def test_a_query_without_words_of_the_catalogue_has_none():
    assert mine(["xyz"], {"xyz": {"right"}}, TEXTS) == {"xyz": []}
