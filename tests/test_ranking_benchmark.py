import json

import numpy as np
import pytest
from scipy import sparse

from benchmarks import next_item
from benchmarks.next_item import Office, Quality
from benchmarks.personal import KnownShop
from endcap.demo_shop import generate


def test_quality_of_lists_with_one_right_item():
    lists = np.array([[3, 1, 2], [5, 6, 7], [9, -1, -1]])
    quality = Quality.of(lists, np.array([1, 0, 9]))
    assert quality.recall.tolist() == [1, 0, 1]
    assert quality.ndcg.tolist() == pytest.approx([1 / np.log2(3), 0, 1])


def test_held_out_events_are_the_last_ones():
    office = Office([], {"a": [1, 2, 3, 4], "b": [5, 6, 7]})
    assert office.before(2) == [[1, 2], [5]]
    assert office.targets(2).tolist() == [3, 6]
    assert office.before(1) == [[1, 2, 3], [5, 6]]
    assert office.targets(1).tolist() == [4, 7]


@pytest.mark.parametrize("name", ["popularity", "itemknn", "bpr", "als", "ease"])
def test_peers_recommend_what_the_shopper_does_not_have(name):
    if name in ("itemknn", "bpr", "als"):
        pytest.importorskip("implicit", reason="the peers of the `bench` extra are not installed")
    rng = np.random.default_rng(1)
    histories = {f"u{n}": rng.permutation(60)[:12].tolist() for n in range(80)}
    office = Office([None] * 60, histories)
    recommend, settings = next_item.peers()[name]
    lists = next_item.peer_lists(recommend, settings[0], office)
    assert lists.shape == (80, next_item.K)
    for row, before in zip(lists, office.before(1), strict=True):
        found = row[row >= 0].tolist()
        assert len(set(found)) == len(found)
        assert not set(found) & set(before)


def test_ease_follows_its_formula():
    matrix = sparse.csr_matrix(np.array([[1, 1, 0], [1, 1, 0], [0, 1, 1], [1, 0, 0]], np.float32))
    lists = next_item._ease(matrix, l2=1.0)
    assert lists[3][0] == 1


def test_the_known_shop_is_the_one_that_is_written_to_files(tmp_path):
    generate(tmp_path, products=300, seed=5, shoppers=12)
    shop = KnownShop.make(5, products=300, shoppers=12)
    titles = [json.loads(line)["title"] for line in (tmp_path / "products.jsonl").open(encoding="utf-8")]
    assert [article.product.title for article in shop.articles] == titles
    written = json.loads((tmp_path / "shoppers.json").read_text("utf-8"))
    assert [[shop.brands[b].name for b in one.brands] for one in shop.shoppers] == [
        row["brands"] for row in written
    ]
    lines = (tmp_path / "events.csv").read_text("utf-8").splitlines()[1:]
    assert [line.split(",")[0] for line in lines] == [event.user for event in shop.events]


def test_a_shopper_likes_what_the_hidden_taste_says():
    shop = KnownShop.make(5, products=300, shoppers=3)
    shopper = shop.shoppers[0]
    liking = shop.liking(shopper)
    loved = np.isin(shop.truth.brand, shopper.brands)
    assert liking.shape == (300,)
    assert liking[loved].mean() > liking[~loved].mean()
