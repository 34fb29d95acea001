"""Compaction: changes become a segment, and nothing that happens on the way loses one."""

import logging
import multiprocessing
import os
import shutil
import signal
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from endcap_rerank.catalog_store import CatalogStore
from endcap_rerank.errors import StoreError
from endcap_rerank.filters import Filters
from endcap_rerank.index import LiveIndex, compaction, segments
from endcap_rerank.index.compaction import compact
from endcap_rerank.index.segments import SegmentFolder
from endcap_rerank.product import Product
from small_catalog import ENCODER, PRODUCTS, small_index, unit_vectors

QUERY = unit_vectors(1, seed=11)[0]
SAW = Product(
    id="saw",
    title="Circular saw DCS391B",
    brand="Bosch",
    category="Tools > Power tools > Saws",
    price=79.0,
    review_count=30,
    attributes={"Color": "Green"},
)


@pytest.fixture(scope="module")
def index(tmp_path_factory):
    return small_index(tmp_path_factory.mktemp("index"))


@pytest.fixture
def store(tmp_path):
    store = CatalogStore(tmp_path / "catalog.db")
    yield store
    store.close()


@pytest.fixture
def folder(tmp_path):
    return SegmentFolder(tmp_path, "release-1")


def change(store, round_=0):
    """Changes of every kind; each round ends elsewhere."""
    vectors = unit_vectors(8, seed=20 + round_)
    store.upsert(
        [(SAW, QUERY), (Product(id=f"n{round_}", title=f"novel gadget {round_}"), vectors[0])], ENCODER
    )
    store.upsert([(replace(PRODUCTS[0], price=5.0 + round_, rating=4.3), unit_vectors(6)[0])], ENCODER)
    store.upsert([(replace(PRODUCTS[1], title=f"Impact wrench {round_}"), vectors[1])], ENCODER)
    store.upsert([(Product(id="foreign", title="foreign vector"), vectors[2][:5])], "another encoder")
    store.delete(["lamp", f"n{round_ - 1}"])


def seen(live):
    """All that a shop could tell apart, rows aside."""
    told = {}
    for filters in (
        None,
        Filters(price_max=50.0),
        Filters(brands=("bosch", "DeWalt"), in_stock=True),
        Filters(categories=("Tools > Power tools",), exclude=frozenset({"driver"})),
        Filters(attributes={"color": ("green", "yellow")}),
    ):
        for query in ("cordless drill", "circular saw", "novel gadget", "impact wrench", "dcs391b"):
            found = live.retrieve(query, QUERY, count=20, filters=filters)
            scores = np.round([found.dense, found.lexical, found.fused], 5).T.tolist()
            told[query, filters and filters.conditions()] = sorted(
                zip(live.item_ids(found.rows), scores, strict=True)
            )
        told["near", filters and filters.conditions()] = live.item_ids(live.nearest(QUERY, 20, filters).rows)
        told["popular", filters and filters.conditions()] = sorted(
            live.item_ids(live.popular(20, filters).rows)
        )
    for item in sorted({i for i, _ in told["novel gadget", None]} | {"drill", "lamp", "n0"}):
        row = live.row(item)
        if row is not None:
            product = live.product(row)
            assert product.id == item
            assert live.prices([row])[0] == pytest.approx(product.price, nan_ok=True)
            codes = live.brand_codes([row])[0], live.category_codes([row])[0]
            names = [
                live.vocabulary(name)[code] if code >= 0 else ""
                for name, code in zip(("brand", "category"), codes, strict=True)
            ]
            told[item] = product.as_mapping(), names, float(live.popularity([row])[0])
    return told


def await_swap(live, folder):
    """Refresh until the segment is taken up, as requests would."""
    end = time.monotonic() + 120
    rows = live._adopted
    while live._adopted == rows:
        assert time.monotonic() < end, "the segment was not taken up"
        live.refresh()
        time.sleep(0.005)


def test_a_segment_answers_as_the_changes_it_holds(index, store, folder):
    change(store)
    before = seen(LiveIndex(index, store))
    written = compact(index, store, folder)
    opened = LiveIndex(index, store, folder)
    assert len(opened._overlay.delta) == 0
    assert seen(opened) == before
    change(store, 1)
    opened.refresh()
    after = seen(LiveIndex(index, store))
    assert seen(opened) == after
    assert compact(index, store, folder) != written
    assert seen(LiveIndex(index, store, folder)) == after


def test_a_running_instance_takes_a_segment_up_and_old_rows_stay_readable(index, store, folder):
    live = LiveIndex(index, store, folder)
    change(store)
    live.refresh()
    row = live.row("saw")
    version = live.version
    compact(index, store, folder)
    store.upsert([(replace(SAW, price=3.0), QUERY)], ENCODER)  # after the segment
    await_swap(live, folder)
    assert live.version > version
    assert live.row("saw") > row
    assert live.item_ids([row]) == ["saw"]
    assert live.product(row).title == SAW.title
    np.testing.assert_array_equal(live.embeddings([row, live.row("saw")]), [QUERY, QUERY])
    assert live.prices([live.row("saw"), 0]).tolist() == [3.0, 5.0]
    assert seen(live) == seen(LiveIndex(index, store))


def test_a_new_price_of_a_product_in_a_segment_keeps_its_place(index, store, folder):
    change(store)
    compact(index, store, folder)
    live = LiveIndex(index, store, folder)
    row = live.row("saw")
    live.upsert([(replace(SAW, price=9.0), QUERY)])
    assert live.row("saw") == row
    assert live.product(row).price == 9.0
    live.delete(["saw"])
    assert live.row("saw") is None
    live.upsert([(SAW, QUERY)])
    assert live.row("saw") == row
    assert seen(live) == seen(LiveIndex(index, store))


def test_prices_alone_write_no_vectors(index, store, folder):
    store.upsert([(replace(PRODUCTS[0], price=1.5), unit_vectors(6)[0])], ENCODER)
    compact(index, store, folder)
    live = LiveIndex(index, store, folder)
    assert len(live._overlay.segment) == 0
    assert live.row("drill") == 0
    assert live.prices([0])[0] == 1.5
    assert live.product(0).price == 1.5


def test_nothing_new_writes_nothing(index, store, folder):
    assert compact(index, store, folder) is None
    change(store)
    assert compact(index, store, folder) is not None
    assert compact(index, store, folder) is None


def test_segments_of_releases_that_are_gone_go_too(store, tmp_path):
    live = small_index(tmp_path / "releases" / "release-2" / "index")
    (tmp_path / "releases" / "release-1").mkdir()
    for name in ("release-0", "release-1"):
        (tmp_path / "segments" / name).mkdir(parents=True)
    change(store)
    compact(live, store, SegmentFolder(tmp_path, "release-2"))
    assert {each.name for each in (tmp_path / "segments").iterdir()} == {"release-1", "release-2"}


def test_one_process_at_a_time_writes(index, store, folder):
    change(store)
    with folder.locked() as mine:
        assert mine
        assert compact(index, store, folder) is None
    assert compact(index, store, folder) is not None


POINTS = {
    "while files are written": (segments, "write_parts", "after"),
    "before the files are flushed": (segments, "_sync", "before"),
    "before the rename": (Path, "rename", "before"),
    "after the rename": (Path, "rename", "after"),
    "before the link": (os, "replace", "before"),
    "after the link": (os, "replace", "after"),
    "before the older one is removed": (SegmentFolder, "_prune", "before"),
}


def _die_at(point, index, path, folder):
    owner, name, when = POINTS[point]
    real = getattr(owner, name)

    def dying(*args, **kwargs):
        if when == "after":
            real(*args, **kwargs)
        os.kill(os.getpid(), signal.SIGKILL)

    setattr(owner, name, dying)
    compact(index, CatalogStore(path), folder)


@pytest.mark.parametrize("point", POINTS)
def test_a_kill_leaves_the_old_or_the_new_and_the_next_one_completes(index, store, folder, point):
    change(store)
    compact(index, store, folder)
    change(store, 1)
    expected = seen(LiveIndex(index, store))
    old = folder.current()
    writer = multiprocessing.get_context("fork").Process(
        target=_die_at, args=(point, index, store.path, folder)
    )
    writer.start()
    writer.join()
    assert writer.exitcode == -signal.SIGKILL
    assert (folder.current() == old) == (point not in ("after the link", "before the older one is removed"))
    assert seen(LiveIndex(index, store, folder)) == expected
    change(store, 2)
    assert compact(index, store, folder) is not None  # the lock died with its holder
    assert seen(LiveIndex(index, store, folder)) == seen(LiveIndex(index, store))
    assert len([each for each in folder.path.iterdir() if each.is_dir() and not each.is_symlink()]) == 2


@pytest.mark.parametrize("damaged", ["vectors.npy", "segment.json", "documents.bin", "gone"])
def test_a_damaged_segment_is_refused_and_the_one_before_serves(index, store, folder, damaged, caplog):
    change(store)
    first = compact(index, store, folder)
    live = LiveIndex(index, store, folder)
    change(store, 1)
    second = compact(index, store, folder)
    if damaged == "gone":
        shutil.rmtree(second)
    else:
        data = bytearray((second / damaged).read_bytes())
        data[len(data) // 2] ^= 1
        (second / damaged).write_bytes(data)
    expected = seen(LiveIndex(index, store))
    with caplog.at_level(logging.WARNING):
        again = LiveIndex(index, store, folder)
    assert second.name in caplog.text
    assert "vectors.npy: checksum" in caplog.text or damaged != "vectors.npy"
    assert again._overlay.seq > int(first.name.split("-")[0])
    assert len(again._overlay.segment) > 0  # the first one
    assert seen(again) == expected
    caplog.clear()
    end = time.monotonic() + 30
    while second.name not in caplog.text and time.monotonic() < end:
        live.refresh()  # the instance that runs hears of it, and serves on
        time.sleep(0.005)
    assert "serves on" in caplog.text
    assert seen(live) == expected
    assert compact(index, store, folder) is not None  # writes a whole one
    assert seen(LiveIndex(index, store, folder)) == expected


def test_a_full_disk_changes_nothing(index, store, folder, monkeypatch):
    change(store)
    compact(index, store, folder)
    change(store, 1)
    old = folder.current()

    def full(*args, **kwargs):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(segments, "write_parts", full)
        with pytest.raises(StoreError, match="No space left"):
            compact(index, store, folder)
    assert folder.current() == old
    assert not list(folder.path.glob(".draft-*"))
    assert seen(LiveIndex(index, store, folder)) == seen(LiveIndex(index, store))


def test_many_changes_start_a_compaction_of_their_own(index, store, folder, monkeypatch):
    monkeypatch.setattr(compaction, "FEWEST", 5)
    live = LiveIndex(index, store, folder)
    live.upsert([(Product(id=f"n{n}", title=f"novelty {n}"), QUERY) for n in range(8)])
    await_swap(live, folder)
    assert len(live._overlay.delta) == 0
    assert live._overlay.uncompacted == 0
    assert live.item_ids(live.retrieve("novelty 3", QUERY, count=1).rows) == ["n3"]
    live._compactor._process.wait()
    assert live._compactor._process.returncode == 0
