"""Metrics of lists against values computed by hand."""

import itertools
import math

import numpy as np
import pytest
from endcap_export.metrics import (
    Point,
    alpha_ndcg,
    coverage,
    entropy,
    exposure,
    gain_at_loss,
    gini,
    ild,
    miscalibration,
    novelty,
    points_above,
)
from endcap_rerank.errors import InvalidInputError


def test_ild_is_the_mean_distance_of_pairs():
    assert ild(np.eye(4)) == pytest.approx(1.0)
    assert ild(np.repeat(np.eye(1, 4), 3, axis=0)) == pytest.approx(0.0)
    assert ild(np.array([[1.0, 0.0], [-1.0, 0.0]])) == pytest.approx(2.0)
    assert ild(np.array([[1.0, 0.0], [0.6, 0.8], [0.0, 1.0]])) == pytest.approx((0.4 + 0.2 + 1.0) / 3)
    assert ild(np.eye(1)) == 0.0
    vectors = np.random.default_rng(0).standard_normal((9, 5))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    pairs = [1 - a @ b for a, b in itertools.combinations(vectors, 2)]
    assert ild(vectors.astype(np.float32)) == pytest.approx(np.mean(pairs), abs=1e-6)


def test_alpha_ndcg_by_hand():
    a, b, ab, none = {"a"}, {"b"}, {"a", "b"}, set()
    judged = [a, a, b, ab, none]
    second, third = 1 / math.log2(3), 1 / math.log2(4)
    # The best list begins with ab (2); then every other is worth 1/2, and 1/4 after another of its kind.
    ideal = 2 + 0.5 * second + 0.5 * third
    assert alpha_ndcg([ab, a, b], judged, 3) == pytest.approx(1.0)
    assert alpha_ndcg([a, a, b], judged, 3) == pytest.approx((1 + 0.5 * second + 1 * third) / ideal)
    assert alpha_ndcg([none, ab], judged, 3) == pytest.approx(2 * second / ideal)
    assert alpha_ndcg([none, none], judged, 3) == 0.0
    assert alpha_ndcg([a], [none], 3) == 0.0
    assert alpha_ndcg([a, b, a], [a, a, b], 2) > alpha_ndcg([a, a, b], [a, a, b], 2)
    # Without a penalty the order of equals does not matter; with the whole one a second is worthless.
    assert alpha_ndcg([a, a, b], [a, a, b], 3, alpha=0.0) == pytest.approx(1.0)
    assert alpha_ndcg([a, a], [a, a, b], 2, alpha=1.0) == pytest.approx(1 / (1 + second))


@pytest.mark.parametrize(("k", "alpha"), [(0, 0.5), (3, 1.5), (3, -0.1)])
def test_alpha_ndcg_refuses(k, alpha):
    with pytest.raises(InvalidInputError):
        alpha_ndcg([{"a"}], [{"a"}], k, alpha=alpha)


def test_coverage_and_entropy_of_brands():
    assert coverage(["x", "x", "y", None], 3) == pytest.approx(2 / 3)
    assert coverage(["x", "y"], 40) == 1.0
    assert coverage([], 3) == coverage(["x"], 0) == 0.0
    assert entropy(["x", "x", "y", "y"]) == pytest.approx(1.0)
    assert entropy(["x", "x", "x", "y"]) == pytest.approx(-0.75 * math.log2(0.75) + 0.25 * 2)
    assert entropy(["x"] * 5) == 0.0
    assert entropy([None, None, "x", "y"]) == pytest.approx(2.0)
    assert entropy([]) == 0.0


def test_exposure_falls_with_the_place():
    seen = exposure([["x", "y"], ["x"], ["y", "z"]])
    assert seen == pytest.approx({"x": 2.0, "y": 1 + 1 / math.log2(3), "z": 1 / math.log2(3)})


def test_gini_by_hand():
    assert gini([1, 1, 1, 1]) == pytest.approx(0.0)
    assert gini([0, 0, 0, 5]) == pytest.approx(0.75)
    assert gini([1, 2, 3]) == pytest.approx((-2 * 1 + 0 * 2 + 2 * 3) / (3 * 6))
    assert gini([3, 1, 2]) == gini([1, 2, 3])
    assert gini({"x": 5.0}, size=4) == pytest.approx(0.75)
    assert gini([]) == gini([0, 0]) == 0.0
    for wrong in ({"amounts": [-1, 2]}, {"amounts": [float("nan")]}, {"amounts": [1, 2], "size": 1}):
        with pytest.raises(InvalidInputError):
            gini(**wrong)


def test_novelty_is_self_information():
    known = {"x": 8, "y": 2}
    assert novelty(["x", "y"], known, 16) == pytest.approx((1 + 3) / 2)
    assert novelty(["unknown"], known, 16) == pytest.approx(4.0)
    assert novelty(["x"], known, 8) == 0.0
    assert novelty([], known, 8) == 0.0
    with pytest.raises(InvalidInputError):
        novelty(["x"], known, 7)


def test_miscalibration_is_zero_for_the_same_mix_only():
    taste = {"tents": 6.0, "lamps": 2.0}
    assert miscalibration(["tents", "tents", "tents", "lamps"], taste) == pytest.approx(0.0, abs=1e-12)
    only = miscalibration(["tents"] * 4, taste)
    by_hand = 0.75 * math.log(0.75 / (0.99 + 0.0075)) + 0.25 * math.log(0.25 / 0.0025)
    assert only == pytest.approx(by_hand)
    assert miscalibration([], taste) == pytest.approx(math.log(100))
    assert miscalibration(["tents"], {}) == 0.0


CURVE = [Point(0.0, 0.50, 0.40), Point(0.3, 0.498, 0.45), Point(0.6, 0.49, 0.55), Point(1.0, 0.40, 0.70)]


def test_the_gain_that_a_loss_buys_is_read_off_the_curve():
    # 1% of 0.50 leaves 0.495: 3/8 of the way from the second to the third point.
    assert gain_at_loss(CURVE, 0.01) == pytest.approx((0.45 + 0.1 * 3 / 8) / 0.40 - 1)
    assert gain_at_loss(CURVE, 0.0) == pytest.approx(0.0)
    assert gain_at_loss(CURVE, 0.5) == pytest.approx(0.70 / 0.40 - 1)
    assert gain_at_loss(CURVE[::-1], 0.01) == gain_at_loss(CURVE, 0.01)
    with pytest.raises(InvalidInputError):
        gain_at_loss(CURVE[1:], 0.01)
    with pytest.raises(InvalidInputError):
        gain_at_loss([Point(0.0, 0.5, 0.0)], 0.01)


def test_points_above_a_curve():
    below, on, above = Point(0.5, 0.48, 0.5), Point(0.6, 0.49, 0.55), Point(0.5, 0.497, 0.5)
    beyond = Point(1.0, 0.1, 0.8)
    dominated = Point(0.0, 0.499, 0.2)  # the curve has more of both at its beginning
    assert points_above([below, on, above, beyond, dominated], [CURVE]) == 2
    assert points_above([above], []) == 1
    assert points_above([above], [[]]) == 1


def test_a_lower_curve_takes_nothing_from_a_higher_one():
    point = Point(0.5, 0.45, 0.5)
    high, low = [Point(0.0, 0.5, 0.4), Point(1.0, 0.42, 0.6)], [Point(0.0, 0.1, 0.1), Point(1.0, 0.3, 0.5)]
    assert points_above([point], [high]) == 0
    assert points_above([point], [low]) == 1
    assert points_above([point], [low, high]) == 0
