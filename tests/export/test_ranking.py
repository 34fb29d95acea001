import numpy as np
import pytest
from endcap_export import ranking
from endcap_export.evaluate.ranking import JudgedQuery
from endcap_export.ranking import FEWEST_QUERIES, learn_ranking
from endcap_export.tree_tables import tables_of
from endcap_rerank.features import QUERY_FEATURES
from endcap_rerank.index import Index, LiveIndex, build_index
from endcap_rerank.learned import LearnedRelevance
from endcap_rerank.product import Product

lightgbm = pytest.importorskip("lightgbm", reason="the `train` extra is not installed")

KINDS = ("drill", "hammer", "kettle", "ladder", "lamp", "tent", "rope", "stove", "chair", "shelf")
COLORS = ("red", "blue", "green", "black")


@pytest.fixture(autouse=True)
def few_trees(monkeypatch):
    monkeypatch.setattr(ranking, "ROUNDS", (10, 40))


@pytest.fixture(scope="module")
def index(tmp_path_factory) -> LiveIndex:
    folder = tmp_path_factory.mktemp("ranking")
    products = [
        Product(id=f"p{at}", title=f"{COLORS[at % 4]} {KINDS[at % 10]} {'deluxe ' * (at % 3)}no {at}")
        for at in range(200)
    ]
    vectors = np.random.default_rng(1).standard_normal((200, 16)).astype(np.float32)
    build_index(folder, products, vectors / np.linalg.norm(vectors, axis=1, keepdims=True), encoder_id="none")
    return LiveIndex(Index.open(folder))


def queries(index: LiveIndex, count: int, grade) -> tuple[list[JudgedQuery], np.ndarray]:
    """Judged queries of two words whose vectors say nothing."""
    rng = np.random.default_rng(2)
    made = []
    for _ in range(count):
        text = f"{COLORS[rng.integers(4)]} {KINDS[rng.integers(10)]}"
        rows = np.sort(rng.choice(200, 8, replace=False))
        rows[0] = next(row for row in range(200) if set(text.split()) & set(words(index, row)))
        rows = np.unique(rows)
        grades = np.array([grade(text, words(index, int(row)), rng) for row in rows], float)
        made.append(JudgedQuery(text, rows, grades, 2.0 ** (grades - 1) - 1, grades >= 2.5))
    vectors = rng.standard_normal((count, 16)).astype(np.float32)
    return made, vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def words(index: LiveIndex, row: int) -> list[str]:
    return index.product(row).title.split()


def test_tables_say_what_the_trees_say():
    rng = np.random.default_rng(0)
    features = rng.random((600, len(QUERY_FEATURES))).astype(np.float32)
    target = features[:, 0] * features[:, 4] - features[:, 8] + (features[:, 3] > 0.5)
    booster = lightgbm.train(
        {"max_depth": 2, "num_leaves": 4, "max_bin": 24, "num_threads": 1, "verbosity": -1},
        lightgbm.Dataset(features, target),
        60,
    )
    cuts, tables = tables_of(booster.dump_model(), list(QUERY_FEATURES))
    assert {len(table["features"]) for table in tables} == {1, 2} or len(tables) > 1
    learned = LearnedRelevance.from_mapping({"format": 1, "cuts": cuts, "tables": tables})
    # On the cuts themselves too, where a value belongs to the lower bin.
    features[:50, 0] = rng.choice(np.array(cuts["dense"], np.float32), 50)
    said = learned.contributions(features.T).sum(axis=0)
    assert said == pytest.approx(booster.predict(features), abs=1e-5)


def test_a_path_over_three_features_is_refused():
    rng = np.random.default_rng(0)
    features = rng.random((600, 3))
    booster = lightgbm.train(
        {"max_depth": 3, "num_leaves": 8, "num_threads": 1, "verbosity": -1},
        lightgbm.Dataset(features, features.prod(axis=1)),
        5,
    )
    with pytest.raises(ValueError, match="a path over 3 features"):
        tables_of(booster.dump_model(), ["a", "b", "c"])


def test_what_helps_is_learned_and_the_same_again(index):
    # The kind, which stands last, decides; the vectors, which the default believes by half, say nothing.
    asked, vectors = queries(
        index, 260, lambda text, title, rng: 3.0 if text.split()[1] in title else rng.choice([1.0, 2.0])
    )
    learned = learn_ranking(index, asked, vectors)
    assert learned.document is not None, learned.why
    assert learned.record["ndcg10"] > learned.record["ndcg10_default"]
    assert learned.record["gain"][0] > 0.0
    relevance = learned.relevance
    found = index.retrieve("red kettle", vectors[0], count=200)
    values = relevance.relevance("red kettle", found, index).values[:100]
    right = np.array(["kettle" in words(index, int(row)) for row in found.rows[:100]])
    assert values[right].mean() > values[~right].mean()
    assert learn_ranking(index, asked, vectors).document == learned.document


def test_what_is_chance_leaves_the_default(index):
    asked, vectors = queries(index, 260, lambda text, title, rng: rng.choice([1.0, 2.0, 3.0]))
    learned = learn_ranking(index, asked, vectors)
    assert learned.document is None
    assert "default stays" in learned.why


def test_too_few_queries_leave_the_default(index):
    asked, vectors = queries(index, 20, lambda text, title, rng: rng.choice([1.0, 3.0]))
    learned = learn_ranking(index, asked, vectors)
    assert learned.document is None
    assert str(FEWEST_QUERIES) in learned.why
