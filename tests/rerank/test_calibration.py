import numpy as np
import pytest
from endcap_rerank.diversity import STRATEGIES, Calibration, SimilarityKernel
from endcap_rerank.diversity.calibration import SMOOTHING
from endcap_rerank.errors import InvalidInputError

CODES = np.arange(60) % 3
TASTE = np.array([0.7, 0.2, 0.1])


def kernel(size: int = 60) -> SimilarityKernel:
    vectors = np.random.default_rng(size).standard_normal((size, 32)).astype(np.float32)
    return SimilarityKernel(
        vectors / np.linalg.norm(vectors, axis=1, keepdims=True), [(np.arange(size) % 7, 0.1)]
    )


def divergence(rows: list[int]) -> float:
    mix = np.bincount(CODES[rows], minlength=3) / len(rows)
    return float((TASTE * np.log(TASTE / ((1 - SMOOTHING) * mix + SMOOTHING * TASTE))).sum())


@pytest.mark.parametrize("algorithm", STRATEGIES)
@pytest.mark.parametrize("diversity", [0.0, 0.3])
def test_the_lists_mix_nears_the_taste(algorithm, diversity):
    relevance = np.where(CODES == 2, 1.0, 0.5) + np.random.default_rng(3).random(60)  # not what they like
    found = [
        STRATEGIES[algorithm](
            relevance,
            kernel(),
            10,
            diversity,
            calibration=Calibration(CODES, TASTE[CODES], weight) if weight else None,
        ).rows.tolist()
        for weight in (0.0, 0.3, 3.0)
    ]
    divergences = [divergence(rows) for rows in found]
    assert divergences[0] > divergences[1] > divergences[2]
    assert np.bincount(CODES[found[2]], minlength=3).tolist() == [7, 2, 1]


def test_every_step_adds_the_fall_of_the_divergence():
    """Beside equal relevance the list is the greedy one of the paper."""
    rows: list[int] = []
    calibration = Calibration(CODES, TASTE[CODES], 1.0)
    found = STRATEGIES["mmr"](np.zeros(60), kernel(), 12, 0.0, calibration=calibration)
    for row in found.rows.tolist():
        after = {code: divergence([*rows, code]) for code in range(3)}  # row c has code c
        assert after[CODES[row]] == pytest.approx(min(after.values()), abs=1e-6)
        rows.append(row)


def test_an_unknown_taste_pulls_nowhere():
    relevance = np.random.default_rng(3).random(60)
    plain = STRATEGIES["dpp"](relevance, kernel(), 10, 0.3).rows.tolist()
    for codes, shares in ((CODES, np.zeros(60)), (np.full(60, -1), np.ones(60))):
        calibration = Calibration(codes, shares, 1.0)
        found = STRATEGIES["dpp"](relevance, kernel(), 10, 0.3, calibration=calibration)
        assert found.rows.tolist() == plain


@pytest.mark.parametrize(
    "wrong", [Calibration(CODES[:3], TASTE, 1.0), Calibration(CODES, TASTE[CODES], -1.0)]
)
def test_a_calibration_that_does_not_fit(wrong):
    with pytest.raises(InvalidInputError, match="calibration"):
        STRATEGIES["dpp"](np.zeros(60), kernel(), 10, 0.3, calibration=wrong)
