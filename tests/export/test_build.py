"""From a shop's files to a registered release, through the command line too."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
from endcap_rerank.events_store import SqliteEventStore
from endcap_rerank.index import Index
from endcap_rerank.index.catalog import popularity_of
from endcap_rerank.ranker import EVENTS_FILE
from endcap_rerank.release import Release
from endcap_rerank.settings import Settings
from typer.testing import CliRunner

pytest.importorskip("torch")
pytestmark = pytest.mark.train

from endcap_export.build import build  # noqa: E402
from endcap_export.popularity import popularity_counts  # noqa: E402
from endcap_export.registry import current, history  # noqa: E402
from endcap_export.train import TrainingSettings  # noqa: E402

from endcap.cli import app  # noqa: E402


@pytest.fixture(scope="module")
def built(tmp_path_factory, shop_folder, tiny_base):
    repository = tmp_path_factory.mktemp("built") / "repository"
    stages = []
    made = build(
        shop_folder,
        repository,
        base=str(tiny_base),
        settings=TrainingSettings(max_steps=60, batch_size=16, learning_rate=3e-3),
        progress=lambda stage, done, total: stages.append((stage, done, total)),
    )
    return repository, made, stages


def run(*arguments):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def test_a_build_is_registered_whole_and_searchable(built, shop):
    from endcap.local import LocalSearch

    repository, made, _ = built
    assert (made.version, current(repository).release) == (1, made.release.id)
    release = Release.open(repository / "releases" / made.release.id, verify=True)
    search = LocalSearch.open(release, Settings(state=repository / "state"))
    answer = search.search("red tent", k=5)
    titles = {product.id: product.title for product in shop.products}
    assert any("tent" in titles[item] for item in answer.item_ids)
    assert {tag["label"] for tag in json.loads(answer.query_info)["tags"]} == {"color", "product"}


def test_a_build_brings_the_events_in_once(built, shop):
    repository, made, _ = built
    assert made.events == len(shop.events) == 120
    store = SqliteEventStore(repository / "state" / EVENTS_FILE)
    assert [event.item for event in store.of_user("anna", 2)] == [shop.events[-1].item, shop.events[-2].item]
    assert store.import_events(shop.events) == 0


def test_popularity_is_that_of_the_events(built, shop):
    index = Index.open(built[1].release.index)
    expected = popularity_of(popularity_counts(shop.products, shop.events), index.catalog.largest_count)
    assert len(set(expected.tolist())) > 2
    np.testing.assert_allclose(index.catalog.columns.popularity, expected)


def test_the_manifest_tells_how_the_release_was_made(built, shop):
    _, made, _ = built
    record = made.record
    assert record["parity"]["embedding_max_abs"] <= 1e-4
    assert record["data"]["files"] == shop.fingerprint
    assert record["data"]["pairs_from"] == "judgments"
    assert record["training"]["steps"] == 60
    assert record["popularity"] == {"events": 120, "half_life_days": 14.0}
    assert set(record["metrics"]) == {"fp32", "int8"}
    assert record["metrics"]["int8"]["tags"]["f1"] > 0.8
    assert {"torch", "transformers", "onnx"} <= set(record["versions"])
    stages = {"export", "parity", "quantize", "evaluate", "encode"}
    assert set(record["seconds"]) >= stages
    assert set(made.seconds) >= stages | {"read", "train", "index", "register", "events"}


def test_every_stage_tells_of_its_start_and_end(built):
    _, _, stages = built
    names = dict.fromkeys(stage for stage, _, _ in stages)
    assert {"read", "load", "train", "export", "parity", "quantize", "encode", "index", "register"} <= set(
        names
    )
    for name in names:
        told = [(done, total) for stage, done, total in stages if stage == name]
        assert told[-1][0] == told[-1][1]


def test_products_alone_are_enough(tmp_path, shop_folder, tiny_base):
    data = tmp_path / "data"
    data.mkdir()
    shutil.copy(shop_folder / "products.jsonl", data)
    settings = TrainingSettings(max_steps=4, batch_size=8)
    made = build(data, tmp_path / "repository", base=str(tiny_base), settings=settings)
    assert made.release.labels == ("O",)
    assert made.record["data"]["pairs_from"] == "titles"
    assert made.events == 0


def test_train_export_register_rollback_on_the_command_line(tmp_path, shop_folder, tiny_base, built):
    encoder, releases, repository = (tmp_path / name for name in ("encoder", "releases", "repository"))
    done = run("train", "--data", shop_folder, "--base", tiny_base, "--output", encoder, "--max-steps", 3)
    assert done.exit_code == 0, done.output
    assert "3 steps" in done.output
    done = run("export", "--data", shop_folder, "--encoder", encoder, "--releases", releases)
    assert done.exit_code == 0, done.output
    # The one that was trained longer comes second: the other way round the gate would refuse.
    for release in (*releases.iterdir(), built[1].release.path):
        done = run("register", release, "--repository", repository)
        assert done.exit_code == 0, done.output
    assert [entry.version for entry in history(repository)] == [1, 2]
    done = run("rollback", "--repository", repository)
    assert done.exit_code == 0, done.output
    assert "version 3" in done.output
    assert run("rollback", "--repository", repository).exit_code == 1


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (["id,name", "1,Drill"], "column 'title' is missing"),
        (["id,title", "1,Drill", "1,Saw"], "products.csv:3: id: got '1'; it stands on line 2 already"),
        (["id,title,price", "1,Drill,-5"], "products.csv:2: price: got '-5'; a number of at least 0"),
    ],
)
def test_a_bad_catalogue_stops_the_command_with_the_reason(tmp_path, lines, message):
    (tmp_path / "products.csv").write_text("\n".join(lines))
    done = run("build", "--data", tmp_path, "--repository", tmp_path / "repository")
    assert done.exit_code == 1
    assert message in done.output
    assert not (tmp_path / "repository").exists()


def test_int8_vectors_of_the_index_are_those_that_serving_makes(built, shop):
    from endcap_export.encoder import OnnxEncoder
    from endcap_rerank.index import Index, LiveIndex
    from endcap_rerank.tokenizer import QueryTokenizer

    _, made, _ = built
    live = LiveIndex(Index.open(made.release.index))
    rows = np.arange(0, len(shop.products), 11)
    tokens = QueryTokenizer(made.release).encode_products([shop.products[row].encoder_text() for row in rows])
    vectors, _ = OnnxEncoder(made.release.encoder("int8")).encode(tokens.input_ids, tokens.attention_mask)
    stored = live.embeddings(np.array([live.row(shop.products[row].id) for row in rows]))
    assert ((stored * vectors).sum(axis=1)).min() > 0.99
