"""Registering is atomic, versioned, and refuses what does not fit."""

from __future__ import annotations

import json
import os
import shutil
import sys

import numpy as np
import pytest
from endcap_export.encoder import OnnxEncoder
from endcap_export.generation import read_config
from endcap_export.registry import current, default_templates, history, register, rollback
from endcap_rerank.catalog_store import CatalogStore
from endcap_rerank.deployed import deployed_release
from endcap_rerank.errors import ReleaseError
from endcap_rerank.index import build_index
from endcap_rerank.ranker import CATALOG_FILE
from endcap_rerank.release import Release, checksum, manifest_checksum
from endcap_rerank.schema import MODELS
from endcap_rerank.tokenizer import QueryTokenizer
from tiny import DIMENSION, LABELS, tiny_products, tiny_release

PRODUCTS = tiny_products(40)


@pytest.fixture(scope="module")
def releases(tmp_path_factory):
    """Five releases, each of another encoder."""
    folder = tmp_path_factory.mktemp("releases")
    return [tiny_release(folder, PRODUCTS, seed=seed) for seed in range(5)]


def check_served(repository, release, version):
    """Every model has the version, and all of it belongs to the release."""
    assert current(repository).version == version
    assert current(repository).release == release.id
    for name, spec in MODELS.items():
        folder = repository / "models" / name / str(version)
        assert folder.is_dir(), name
        if spec.backend == "python":
            assert deployed_release(folder).id == release.id
            assert (folder / "model.py").is_file()
    served = repository / "models" / "encode" / str(version) / "model.onnx"
    assert checksum(served) == release.encoder_id
    Release.open(repository / "releases" / release.id, verify=True)
    search = read_config(repository / "models" / "search" / "config.pbtxt")
    assert {step.model_version for step in search.ensemble_scheduling.step} == {version}


def test_register_writes_every_model_with_the_sizes_of_the_release(tmp_path, releases):
    repository = tmp_path / "repository"
    assert register(releases[0].path, repository) == 1
    check_served(repository, releases[0], 1)
    for name in ("config.pbtxt", "configs/tensorrt.pbtxt"):
        config = read_config(repository / "models" / "encode" / name)
        dims = {output.name: list(output.dims) for output in config.output}
        assert dims == {"query_embedding": [DIMENSION], "tag_logits": [-1, len(LABELS)]}
    assert json.loads((repository / "registry.json").read_text())[0]["release"] == releases[0].id


@pytest.mark.parametrize(
    ("instances", "waiting", "under_way", "behind"), [(2, 36, 12, 64), (16, 288, 96, 96)]
)
def test_queues_are_sized_by_the_instances_of_the_last_step(
    tmp_path, releases, instances, waiting, under_way, behind
):
    templates = shutil.copytree(default_templates(), tmp_path / "templates")
    file = templates / "rerank" / "config.pbtxt"
    file.write_text(file.read_text().replace("count: 2", f"count: {instances}"))
    register(releases[0].path, tmp_path / "repository", templates=templates)
    configs = {
        name: read_config(tmp_path / "repository" / "models" / name / "config.pbtxt")
        for name in ("tokenize", "encode", "rerank")
    }
    limits = {
        name: each.dynamic_batching.default_queue_policy.max_queue_size for name, each in configs.items()
    }
    assert limits == {"tokenize": waiting, "encode": behind, "rerank": behind}
    assert configs["tokenize"].parameters["under_way"].string_value == str(under_way)


def test_sizes_that_a_template_gives_are_kept(tmp_path, releases):
    templates = shutil.copytree(default_templates(), tmp_path / "templates")
    file = templates / "tokenize" / "config.pbtxt"
    queue = "dynamic_batching { default_queue_policy { max_queue_size: 7 } "
    under_way = 'parameters { key: "under_way" value: { string_value: "5" } }'
    file.write_text(file.read_text().replace("dynamic_batching {", queue) + under_way)
    register(releases[0].path, tmp_path / "repository", templates=templates)
    config = read_config(tmp_path / "repository" / "models" / "tokenize" / "config.pbtxt")
    assert config.dynamic_batching.default_queue_policy.max_queue_size == 7
    assert config.parameters["under_way"].string_value == "5"


def test_versions_rise_and_rollback_goes_back_step_by_step(tmp_path, releases):
    first, second, third = releases[:3]
    for number, release in enumerate((first, second, third), start=1):
        assert register(release.path, tmp_path) == number
    assert rollback(tmp_path) == 4
    check_served(tmp_path, second, 4)
    assert rollback(tmp_path) == 5
    check_served(tmp_path, first, 5)
    with pytest.raises(ReleaseError, match="no earlier release"):
        rollback(tmp_path)
    assert rollback(tmp_path, third.id) == 6
    check_served(tmp_path, third, 6)
    assert [entry.action for entry in history(tmp_path)] == ["register"] * 3 + ["rollback"] * 3
    with pytest.raises(ReleaseError, match=rf"no release 'absent'; kept are .*{first.id}"):
        rollback(tmp_path, "absent")
    check_served(tmp_path, third, 6)


def test_the_last_three_versions_and_releases_are_kept(tmp_path, releases):
    for release in releases:
        register(release.path, tmp_path)
    assert {path.name for path in (tmp_path / "releases").iterdir()} == {r.id for r in releases[2:]}
    for name in MODELS:
        versions = sorted(path.name for path in (tmp_path / "models" / name).iterdir() if path.name.isdigit())
        assert versions == ["3", "4", "5"]
    assert deployed_release(tmp_path / "models" / "rerank" / "4").id == releases[3].id
    assert len(list(tmp_path.glob(".models-*"))) == 1


def test_a_process_killed_anywhere_leaves_the_old_version_or_the_new_one(tmp_path, releases):
    old, new = releases[:2]
    fresh = tmp_path / "fresh"
    register(old.path, fresh)
    outcomes = []
    for step in range(1, 1000, 9):
        repository = tmp_path / f"killed-{step}"
        shutil.copytree(fresh, repository, symlinks=True)
        killed = in_child(lambda at=repository: register(new.path, at), dies_at=step)
        version = current(repository).version
        outcomes.append(version)
        check_served(repository, (old, new)[version - 1], version)
        # What the dead process left behind stands in nobody's way.
        if step % 2:
            again = register(new.path, repository)
            check_served(repository, new, again)
        shutil.rmtree(repository)
        if not killed:
            break
    assert outcomes == sorted(outcomes)
    assert outcomes[0] == 1
    assert outcomes[-1] == 2
    assert len(outcomes) > 5


def in_child(work, dies_at):
    """Run in a forked process that ends, as by SIGKILL, before its nth change of the file system."""
    child = os.fork()
    if child == 0:
        count = 0

        def hook(event, arguments):
            nonlocal count
            if event in ("os.rename", "os.symlink", "os.link", "os.mkdir", "os.remove", "shutil.copyfile"):
                count += 1
                if count == dies_at:
                    os._exit(9)

        sys.addaudithook(hook)
        try:
            work()
        finally:
            os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 9


def test_two_at_once_make_two_versions(tmp_path, releases):
    register(releases[0].path, tmp_path)
    children = []
    for release in releases[1:3]:
        child = os.fork()
        if child == 0:
            try:
                register(release.path, tmp_path)
            finally:
                os._exit(0)
        children.append(child)
    for child in children:
        os.waitpid(child, 0)
    assert [entry.version for entry in history(tmp_path)] == [1, 2, 3]
    assert {entry.release for entry in history(tmp_path)} == {release.id for release in releases[:3]}


def test_a_damaged_release_is_refused_and_the_old_one_served_on(tmp_path, releases):
    repository = tmp_path / "repository"
    register(releases[0].path, repository)
    damaged = tmp_path / "damaged"
    shutil.copytree(releases[1].path, damaged)
    file = damaged / "encoder" / "fp32.onnx"
    content = bytearray(file.read_bytes())
    content[1000] ^= 1
    file.write_bytes(content)
    with pytest.raises(ReleaseError, match=r"fp32.onnx: checksum"):
        register(damaged, repository)
    check_served(repository, releases[0], 1)
    assert not (repository / "releases" / releases[1].id).exists()


def test_an_index_of_another_encoder_is_refused(tmp_path, releases):
    mixed = tmp_path / "mixed"
    shutil.copytree(releases[0].path, mixed)
    shutil.rmtree(mixed / "index")
    vectors = np.eye(len(PRODUCTS), DIMENSION, dtype=np.float32)
    build_index(mixed / "index", PRODUCTS, vectors, encoder_id=releases[1].encoder_id)
    manifest = json.loads((mixed / "manifest.json").read_text())
    manifest["checksums"] = {
        path.relative_to(mixed).as_posix(): checksum(path)
        for path in mixed.rglob("*")
        if path.is_file() and path.name != "manifest.json"
    }
    manifest["checksum"] = manifest_checksum(manifest)
    (mixed / "manifest.json").write_text(json.dumps(manifest))
    message = rf"index: made with encoder {releases[1].encoder_id[:12]}….* cosine -?0\.\d+ over 40 products"
    with pytest.raises(ReleaseError, match=message):
        register(mixed, tmp_path / "repository")


def test_a_broken_template_changes_nothing(tmp_path, releases):
    repository, templates = tmp_path / "repository", tmp_path / "templates"
    register(releases[0].path, repository)
    shutil.copytree(default_templates(), templates)
    (templates / "tokenize" / "config.pbtxt").write_text('name: "tokenize" nonsense')
    with pytest.raises(ReleaseError, match=r"tokenize/config.pbtxt: 1:"):
        register(releases[1].path, repository, templates)
    with pytest.raises(ReleaseError, match="no Triton models"):
        register(releases[1].path, repository, tmp_path / "absent")
    check_served(repository, releases[0], 1)


def test_an_unreachable_server_changes_nothing(tmp_path, releases):
    register(releases[0].path, tmp_path)
    with pytest.raises(ReleaseError, match="did not load"):
        register(releases[1].path, tmp_path, server="http://127.0.0.1:9")
    check_served(tmp_path, releases[0], 1)


def test_changed_products_get_vectors_of_the_new_encoder(tmp_path, releases):
    register(releases[0].path, tmp_path)
    store = CatalogStore(tmp_path / "state" / CATALOG_FILE)
    product = tiny_products(41)[40]
    store.upsert([(product, np.eye(1, DIMENSION, dtype=np.float32)[0])], releases[0].encoder_id)
    store.delete([PRODUCTS[0].id])
    register(releases[1].path, tmp_path)
    changes = {change.id: change for change in store.changes_since(0)}
    tokens = QueryTokenizer(releases[1]).encode_products([product.encoder_text()])
    encoder = OnnxEncoder(releases[1].encoder("fp32"))
    expected, _ = encoder.encode(tokens.input_ids, tokens.attention_mask)
    assert changes[product.id].encoder_id == releases[1].encoder_id
    np.testing.assert_allclose(changes[product.id].embedding, expected[0], atol=1e-6)
    assert changes[PRODUCTS[0].id].product is None


def test_a_folder_that_is_no_repository_is_not_touched(tmp_path, releases):
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "mine.txt").write_text("keep")
    with pytest.raises(ReleaseError, match="a folder that Endcap did not make"):
        register(releases[0].path, tmp_path)
    assert (tmp_path / "models" / "mine.txt").read_text() == "keep"
    with pytest.raises(ReleaseError, match="no such repository"):
        rollback(tmp_path / "absent")
    with pytest.raises(ReleaseError, match="no manifest"):
        register(tmp_path, tmp_path / "other")
