"""Shares of a list for brands and sellers, at least and at most, in every beginning of it."""

import json
import math

import numpy as np
import pytest
from diversity_cases import unit
from endcap_rerank.diversity import STRATEGIES as BY_NAME
from endcap_rerank.diversity import Cap, Exploration, Share, SimilarityKernel
from endcap_rerank.errors import InvalidInputError
from endcap_rerank.options import Options
from endcap_rerank.product import Product
from endcap_rerank.requests import RecommendRequest
from ranking_shop import embed, open_ranker, products, search_request

STRATEGIES = pytest.mark.parametrize("select", BY_NAME.values(), ids=BY_NAME.keys())


def kernel(size):
    return SimilarityKernel(unit(np.random.default_rng(size).standard_normal((size, 8))))


def share(brands, code, least=0.0, most=1.0):
    return Share(f"brand:{code}", brands == code, least, most)


def check(rows, shares):
    """Every beginning has what is guaranteed, and no more than it may."""
    for one in shares:
        taken = np.cumsum(one.members[rows])
        for m, count in enumerate(taken.tolist(), start=1):
            assert math.floor(one.least * m + 1e-9) <= count <= math.ceil(one.most * m - 1e-9)


@STRATEGIES
@pytest.mark.parametrize("seed", range(12))
def test_shares_hold_in_every_beginning(select, seed):
    rng = np.random.default_rng(seed)
    brands, sellers = rng.integers(0, 5, 200), rng.integers(0, 6, 200)
    # Together the guarantees of brands leave no place to choose freely; relevance is against them.
    relevance = rng.standard_normal(200) + 5.0 * (brands == 4)
    shares = [
        share(brands, 0, 0.3, 0.4),
        share(brands, 1, 0.35),
        share(brands, 2, 0.15),
        share(brands, 3, 0.2, 0.2),
        share(sellers, 0, 0.0, 0.25),
    ]
    diversity = (0.0, 0.3, 1.0)[seed % 3]
    found = select(relevance, kernel(200), 20, diversity, shares=shares)
    assert len(set(found.rows.tolist())) == 20
    check(found.rows, shares)
    assert (found.exceeded, found.missed) == ((), ())


def test_relevance_gives_way_no_more_than_it_must():
    """The last place of ten is early enough for a tenth; the limit closes and opens again."""
    brands = np.array([0] * 30 + [1] * 30)
    least = BY_NAME["dpp"](-np.arange(60.0), kernel(60), 10, 0.0, shares=[share(brands, 1, 0.1)])
    assert least.rows.tolist() == [0, 1, 2, 3, 4, 5, 6, 7, 8, 30]
    most = BY_NAME["dpp"](-np.arange(60.0), kernel(60), 8, 0.0, shares=[share(brands, 0, 0.0, 0.25)])
    assert most.rows.tolist() == [0, 30, 31, 32, 1, 33, 34, 35]


@STRATEGIES
def test_what_cannot_be_kept_is_said_and_the_list_is_full(select):
    brands = np.array([0] * 20 + [1] * 2)
    shares = [share(brands, 0, 0.0, 0.5), share(brands, 1, 0.4)]
    found = select(-np.arange(22.0), kernel(22), 10, 0.3, shares=shares)
    assert len(found.rows) == 10
    assert np.count_nonzero(brands[found.rows] == 1) == 2
    assert found.exceeded == ("brand:0",)
    assert found.missed == ("brand:1",)
    absent = select(-np.arange(22.0), kernel(22), 10, 0.3, shares=[Share("brand:9", np.zeros(22, bool), 0.2)])
    assert absent.missed == ("brand:9",)


@STRATEGIES
def test_pins_caps_and_new_products_beside_shares(select):
    brands = np.arange(80) % 4
    shares = [share(brands, 1, 0.3), share(brands, 0, 0.0, 0.2)]
    caps = [Cap("brand", brands, 2, 4)]
    new = np.arange(80) >= 60
    found = select(
        -np.arange(80.0),
        kernel(80),
        20,
        0.2,
        shares=shares,
        caps=caps,
        first=[0, 4],
        exploration=Exploration(new, 0.2),
    )
    taken = brands[found.rows]
    assert found.rows[:2].tolist() == [0, 4]
    assert found.exceeded == ("brand:0",)  # by the second pin
    assert max(np.bincount(taken[at : at + 4]).max() for at in range(17)) <= 2
    assert (taken == 1).sum() >= 6
    assert new[found.rows].sum() >= 4


def test_a_share_that_contradicts_itself_is_refused():
    for least, most in ((0.5, 0.2), (-0.1, 1.0), (0.0, 0.0), (0.0, math.nan)):
        with pytest.raises(InvalidInputError, match=r"shares\.a"):
            BY_NAME["dpp"](
                np.zeros(4), kernel(4), 2, 0.5, shares=[Share("a", np.zeros(4, bool), least, most)]
            )


@pytest.fixture(scope="module")
def ranker(tmp_path_factory):
    sellers = ("Contoso", "Fabrikam", "Tailspin")
    shop = [
        Product(**{**p.as_mapping(), "attributes": {**p.attributes, "seller": sellers[at % 7 % 3]}})
        for at, p in enumerate(products())
    ]
    return open_ranker(tmp_path_factory.mktemp("shop"), shop)


def sellers(ranker, ranked):
    return [ranker.index.product(ranker.index.row(item)).attributes["seller"] for item in ranked.item_ids]


@pytest.mark.parametrize("k", [10, 20])
def test_a_request_gives_shares_to_brands_and_sellers(ranker, k):
    exposure = {
        "brand:acme": {"max_share": 0.2},
        "seller:Tailspin": {"min_share": 0.5},
        "seller:contoso": {"max_share": 0.3},
    }
    options = json.dumps({"exposure": exposure})
    for asked in (
        search_request("Acme red lamp", k=k, options=options),
        RecommendRequest.validated(k=k, options=options),
    ):
        ranked = ranker.search(asked) if hasattr(asked, "query") else ranker.recommend(asked)
        brands = [ranker.index.product(ranker.index.row(item)).brand for item in ranked.item_ids]
        sold = sellers(ranker, ranked)
        assert len(sold) == k
        for m in range(1, k + 1):
            assert brands[:m].count("Acme") <= math.ceil(0.2 * m)
            assert sold[:m].count("Tailspin") >= m // 2
            assert sold[:m].count("Contoso") <= math.ceil(0.3 * m)


def test_a_changed_product_counts_for_its_new_seller(ranker):
    changed = Product(id="new", title="Acme red lamp", brand="Acme", attributes={"seller": "Northwind"})
    ranker.upsert([(changed, embed(changed.encoder_text()))])
    options = json.dumps({"exposure": {"seller:Northwind": {"min_share": 0.2}}})
    ranked = ranker.search(search_request("blue lamp", k=5, options=options))
    assert "new" in ranked.item_ids
    ten = ranker.search(search_request("blue lamp", k=10, options=options))
    notes = json.loads(ten.query_info)["notes"]
    assert notes == ["Too few products of seller:Northwind were found: its guaranteed share is not reached."]


@pytest.mark.parametrize(
    ("exposure", "field"),
    [
        ({"Acme": {"max_share": 0.3}}, "options.exposure.Acme"),
        ({"brand:": {"max_share": 0.3}}, "options.exposure.brand:"),
        ({"brand:Acme": 0.3}, "options.exposure.brand:Acme"),
        ({"brand:Acme": {}}, "options.exposure.brand:Acme"),
        ({"brand:Acme": {"share": 0.3}}, "options.exposure.brand:Acme.share"),
        ({"brand:Acme": {"max_share": 0}}, "options.exposure.brand:Acme.max_share"),
        ({"brand:Acme": {"max_share": 30}}, "options.exposure.brand:Acme.max_share"),
        ({"brand:Acme": {"min_share": 0.5, "max_share": 0.2}}, "options.exposure.brand:Acme.min_share"),
        (
            {"brand:A": {"min_share": 0.6}, "brand:B": {"min_share": 0.6}},
            "options.exposure.brand:B.min_share",
        ),
        ({f"brand:{n}": {"max_share": 0.5} for n in range(17)}, "options.exposure"),
        (["brand:Acme"], "options.exposure"),
    ],
)
def test_a_share_that_cannot_be_read_is_named(exposure, field):
    with pytest.raises(InvalidInputError) as caught:
        Options.parse(json.dumps({"exposure": exposure}))
    assert caught.value.field == field
