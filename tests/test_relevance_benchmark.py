import numpy as np
import pytest
from rapidfuzz.distance import OSA

pytest.importorskip("pyversity", reason="the `bench` extra is not installed")
pytest.importorskip("matplotlib", reason="the `bench` extra is not installed")

from endcap_export.metrics import Point

from benchmarks import relevance, tradeoff
from benchmarks.tradeoff import Listed


def test_a_typo_is_one_mistake():
    rng = np.random.default_rng(1)
    for query in ("cordless drill", "18V Battery", "Kitchen faucet"):
        for _ in range(200):
            assert OSA.distance(query, relevance.typo(query, rng)) <= 1
    assert relevance.typo("2x4 in", rng) == "2x4 in"


def test_typos_come_in_four_kinds():
    rng = np.random.default_rng(1)
    lengths = [len(relevance.typo("refrigerator", rng)) for _ in range(400)]
    assert set(lengths) == {11, 12, 13}


def test_ndcg_against_its_formula():
    found, every = np.array([1.0, 3.0]), np.array([3.0, 1.0, 2.0])
    ideal = 7 + 3 / np.log2(3) + 1 / 2
    assert relevance.ndcg(found, every) == pytest.approx((1 + 7 / np.log2(3)) / ideal)
    assert relevance.ndcg(np.sort(every)[::-1], every) == pytest.approx(1)
    assert relevance.ndcg(np.zeros(3), np.zeros(3)) == 0


def listed() -> Listed:
    rng = np.random.default_rng(0)
    groups = np.minimum(np.arange(40) // 8, 4)  # the first eight are alike
    vectors = (np.eye(8)[groups] + 0.1 * rng.standard_normal((40, 8))).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    grades = np.zeros(40)
    grades[[0, 3, 20]] = 3.0, 2.0, 1.0
    scores = np.linspace(1, 0, 40).astype(np.float32)
    return Listed(scores, vectors, grades, np.array([3.0, 2.0, 1.0, 1.0]), np.array([1.0]), np.arange(40) % 5)


def test_what_nobody_judged_is_neither_right_nor_wrong():
    one = listed()
    assert tradeoff.judged_first(one, np.array([5, 0, 7, 3])) == pytest.approx(1)
    assert tradeoff.unjudged_wrong(one, np.array([5, 0, 7, 3])) < 1
    assert tradeoff.judged_first(one, np.array([3, 0])) < 1


@pytest.mark.parametrize("pick", [tradeoff.ours("dpp"), tradeoff.ours("msd"), tradeoff.pyversitys("mmr")])
def test_a_curve_goes_from_relevance_to_diversity(pick):
    relevances = (tradeoff.unjudged_wrong,)
    (drawn,) = tradeoff.curves([listed()] * 2, pick, (0.0, 1.0), relevances, tradeoff.distance)
    points = drawn.points()
    low, high = drawn.interval()  # of one query, seen twice
    assert low == pytest.approx(high)
    assert [point.setting for point in points] == [0.0, 1.0]
    assert points[0].diversity < points[1].diversity
    assert pick(listed(), 0.0).tolist() == list(range(10))


def test_the_picture_is_drawn(tmp_path):
    points = [Point(0.0, 0.9, 0.3), Point(1.0, 0.5, 0.7)]
    curves = {"dpp": points}
    tradeoff.draw(tmp_path / "new" / "curve.png", curves, {"dpp": points}, curves)
    assert (tmp_path / "new" / "curve.png").read_bytes().startswith(b"\x89PNG")
