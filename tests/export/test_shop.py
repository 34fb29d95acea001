"""A shop's files are found by name; parts and held-out parts never share a query."""

from __future__ import annotations

import shutil

import pytest
from endcap_export.rows import DataError
from endcap_export.shop import Shop, ShopFiles
from endcap_rerank.settings import Settings


def touch(folder, *names):
    for name in names:
        (folder / name).write_text("")
    return folder


def test_parts_are_told_apart_by_name(tmp_path):
    touch(tmp_path, "products.parquet", "judgments.train.csv", "judgments.dev.csv", "judgments.test.csv",
          "events.jsonl", "tags.train.bio", "tags.dev.bio", "queries.csv", "readme.txt")  # fmt: skip
    files = ShopFiles.find(tmp_path)
    names = {kind: path.name for kind, path in vars(files).items()}
    assert names == {
        "products": "products.parquet",
        "judgments": "judgments.train.csv",
        "held_judgments": "judgments.dev.csv",
        "events": "events.jsonl",
        "tags": "tags.train.bio",
        "held_tags": "tags.dev.bio",
    }


def test_tags_may_lie_elsewhere(tmp_path):
    data, tags = tmp_path / "data", tmp_path / "tags"
    data.mkdir()
    tags.mkdir()
    touch(data, "products.csv")
    with pytest.raises(DataError, match=r"no \.bio file"):
        ShopFiles.find(data, tags)
    touch(tags, "train.bio", "dev.bio")
    assert ShopFiles.find(data, tags).held_tags == tags / "dev.bio"
    assert ShopFiles.find(data, tags / "train.bio").tags == tags / "train.bio"
    assert ShopFiles.find(data).tags is None


def test_what_is_missing_or_ambiguous_is_named(tmp_path):
    with pytest.raises(DataError, match="absent: no such folder"):
        ShopFiles.find(tmp_path / "absent")
    with pytest.raises(DataError, match="no products file"):
        ShopFiles.find(tmp_path)
    touch(tmp_path, "products.csv", "products.jsonl")
    with pytest.raises(DataError, match=r"products.csv, products.jsonl: one of them"):
        ShopFiles.find(tmp_path)
    (tmp_path / "products.jsonl").unlink()
    touch(tmp_path, "judgments.dev.csv")
    with pytest.raises(DataError, match="without its training part"):
        ShopFiles.find(tmp_path)


def test_a_tenth_of_the_queries_is_held_out_whole(shop):
    for part, held in ((shop.judgments, shop.held_judgments), (shop.tags, shop.held_tags)):
        queries, held_queries = (
            {getattr(one, "query", None) or one.text for one in rows} for rows in (part, held)
        )
        assert held_queries
        assert not queries & held_queries
        assert len(held_queries) == (len(queries) + len(held_queries)) // 10
    assert len(shop.fingerprint) == 4


def test_judgments_of_unknown_products_stop_the_build(shop_folder, tmp_path):
    copy = tmp_path / "shop"
    shutil.copytree(shop_folder, copy)
    lines = (copy / "products.jsonl").read_text().splitlines(keepends=True)
    (copy / "products.jsonl").write_text("".join(lines[:60]))
    with pytest.raises(DataError, match=r"judgments.csv:\d+: item_id: got 'p00"):
        Shop.load(ShopFiles.find(copy))


@pytest.mark.data
@pytest.mark.parametrize(("folder", "tags"), [("homedepot", "queryner"), ("office", "zh_utterances")])
def test_the_real_files_are_read_without_a_bad_row(folder, tags):
    data = Settings.from_environment().data
    if not data.is_dir():
        pytest.skip(f"no real data in {data}; set ENDCAP_DATA")
    shop = Shop.load(ShopFiles.find(data / folder, data / tags))
    assert shop.warnings == ()
    assert len(shop.products) > 2000
    assert len(shop.labels) > 10
    assert shop.held_tags
