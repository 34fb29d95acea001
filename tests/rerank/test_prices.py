import numpy as np
import pytest
from endcap_rerank.diversity import STRATEGIES, SimilarityKernel
from endcap_rerank.prices import levels_within, price_bands, price_levels
from endcap_rerank.product import Product
from endcap_rerank.scoring import RankingWeights, kernel_groups
from ranking_shop import open_ranker


@pytest.fixture(scope="module")
def index(tmp_path_factory):
    cheap = [Product(id=f"c{n}", title=f"pen {n}", category="Pens", price=1.0 + n) for n in range(11)]
    dear = [Product(id=f"d{n}", title=f"desk {n}", category="Desks", price=100.0 + n) for n in range(11)]
    rest = [
        Product(id="free", title="pen without price", category="Pens"),
        Product(id="lost", title="thing", price=5.0),
        Product(id="few", title="lamp", category="Lamps", price=5.0),
    ]
    return open_ranker(tmp_path_factory.mktemp("prices"), [*cheap, *dear, *rest]).index


def rows(index, *items):
    return np.array([index.row(item) for item in items])


def test_a_level_is_the_share_of_the_category_that_is_cheaper(index):
    levels = price_levels(rows(index, "c0", "c5", "c10", "d5"), index)
    assert levels == pytest.approx([0.5 / 11, 0.5, 10.5 / 11, 0.5], abs=1e-6)


def test_what_is_not_known_has_no_level(index):
    assert np.isnan(price_levels(rows(index, "free", "lost", "few"), index)).all()


def test_all_levels_at_once_are_those_of_one_category_after_the_other(index):
    columns = index.index.catalog.columns
    levels = levels_within(columns.category, columns.price)
    assert np.allclose(levels, price_levels(np.arange(len(levels)), index), equal_nan=True)
    same = levels_within(np.zeros(6, np.int32), np.array([2.0, 1.0, 2.0, 2.0, 9.0, np.nan]))
    assert same == pytest.approx([0.5, 0.1, 0.5, 0.5, 0.9, np.nan], nan_ok=True)
    assert np.isnan(levels_within(np.full(6, -1, np.int32), np.ones(6))).all()


def test_bands_are_quarters_of_a_category(index):
    items = [*(f"c{n}" for n in (0, 4, 7, 10)), "d0", "d10", "free", "few"]
    assert price_bands(rows(index, *items), index).tolist() == [0, 1, 2, 3, 0, 3, -1, -1]


def test_a_diverse_list_mixes_price_bands(index):
    pens = rows(index, *(f"c{n}" for n in range(11)))
    nothing = np.full(len(pens), -1, np.int32)
    groups = kernel_groups(pens, nothing, nothing, index, RankingWeights(kernel_price=0.5))
    kernel = SimilarityKernel(np.zeros((len(pens), 2), np.float32), groups)
    found = STRATEGIES["dpp"](-np.arange(11.0), kernel, 4, 0.9).rows
    assert sorted(price_bands(pens[found], index).tolist()) == [0, 1, 2, 3]
    without = kernel_groups(pens, nothing, nothing, index, RankingWeights(kernel_price=0.0))
    assert len(without) == 2
