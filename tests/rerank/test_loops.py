"""The compiled loops beside numpy, and what they refuse rather than read beyond an array."""

import shutil

import numpy as np
import pytest
from endcap_rerank import loops
from endcap_rerank.diversity import Cap, SimilarityKernel, select_dpp

pytestmark = pytest.mark.skipif(not loops.COMPILED, reason="no C compiler was there")


@pytest.mark.skipif(shutil.which("cc") is None, reason="no C compiler")
def test_the_loops_are_there_where_a_compiler_is():
    assert loops.COMPILED


def request(seed):
    """Candidates in clusters, as a query finds them; caps on some, pins on some."""
    rng = np.random.default_rng(seed)
    size = int(rng.integers(30, 400))
    vectors = rng.standard_normal((8, 96))[rng.integers(0, 8, size)] + 0.7 * rng.standard_normal((size, 96))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    brands, categories = rng.integers(-1, 12, size), rng.integers(-1, 6, size)
    kernel = SimilarityKernel(vectors.astype(np.float32), [(brands, 0.2), (categories, 0.1)][: seed % 3])
    caps = [Cap("brand", brands, 1 + seed % 2), Cap("category", categories, 3)][: seed % 4]
    first = rng.permutation(size)[: seed % 5].tolist()
    arguments = {"caps": caps, "first": first, "strict": seed % 7 == 0}
    return rng.standard_normal(size), kernel, 20, float(rng.random()), arguments


def test_what_is_selected_is_what_numpy_selects(monkeypatch):
    ended = 0
    for seed in range(300):
        *asked, arguments = request(seed)
        compiled = select_dpp(*asked, **arguments)
        with monkeypatch.context() as patch:
            patch.setattr(loops, "COMPILED", False)
            plain = select_dpp(*asked, **arguments)
        assert compiled.rows.tolist() == plain.rows.tolist()
        np.testing.assert_allclose(compiled.gains, plain.gains, atol=1e-5)
        assert compiled.exceeded == plain.exceeded
        ended += len(plain.rows) < 20
    assert ended > 3  # strict lists that caps have ended


def test_terms_are_added_up_as_by_numpy():
    rng = np.random.default_rng(3)
    rows = rng.integers(0, 500, 2000).astype(np.int32)
    impacts = rng.random(2000).astype(np.float32)
    total, expected = np.ones(500, np.float32), np.ones(500, np.float32)
    for weight in (1.0, 0.37):
        loops.add(total, rows, impacts, weight)
        np.add.at(expected, rows, impacts * np.float32(weight))
    np.testing.assert_array_equal(total, expected)


@pytest.mark.parametrize("row", [-1, 500])
def test_a_row_that_is_none_is_refused(row):
    with pytest.raises(IndexError, match=f"row {row} of 500"):
        loops.add(np.zeros(500, np.float32), np.array([row], np.int32), np.ones(1, np.float32), 1.0)


@pytest.mark.parametrize(
    "arrays",
    [
        {"passing": np.ones(4, bool)},
        {"out": np.empty(3, np.int64)},
        {"scores": np.zeros(10, np.float32)[::2]},
        {"count": -1},
    ],
)
def test_arrays_that_do_not_fit_each_other_are_refused_by_top(arrays):
    given = {"scores": np.zeros(5, np.float32), "count": 2, "above": 0.0, "passing": None}
    given |= {"out": np.empty(2, np.int64)} | arrays
    with pytest.raises((ValueError, BufferError)):
        loops.top(*given.values())


@pytest.mark.parametrize(
    "arrays",
    [
        {"embeddings": np.zeros((4, 3), np.float32)},
        {"codes": np.zeros((1, 4), np.int64)},
        {"weights": np.zeros(2, np.float32)},
        {"first": np.array([5])},
        {"first": np.array([0, 1, 2])},
        {"cap_codes": np.zeros((2, 5), np.int64)},
        {"exceeded": np.zeros(2, bool)},
        {"rows": np.zeros(6, np.int64), "values": np.zeros(6, np.float32)},
        {"values": np.zeros(3, np.float32)},
    ],
)
def test_arrays_that_do_not_fit_each_other_are_refused_by_dpp(arrays):
    given = {
        "embeddings": np.eye(5, dtype=np.float32),
        "cosine_weight": 1.0,
        "codes": np.zeros((1, 5), np.int64),
        "weights": np.zeros(1, np.float32),
        "relevance": np.zeros(5, np.float32),
        "floor": 1e-5,
        "first": np.zeros(0, np.int64),
        "cap_codes": np.zeros((1, 5), np.int64),
        "limits": np.ones(1, np.int64),
        "strict": False,
        "rows": np.zeros(2, np.int64),
        "values": np.zeros(2, np.float32),
        "exceeded": np.zeros(1, bool),
    }
    loops.dpp(*given.values())
    with pytest.raises((ValueError, IndexError)):
        loops.dpp(*(given | arrays).values())
