"""A release beside the current one has models of its own, which stay when others are registered."""

import pytest
from endcap_export.beside import end_beside, serve_beside
from endcap_export.beside_models import BESIDE, names_beside, releases_beside
from endcap_export.generation import read_config
from endcap_export.registry import current, register, rollback
from endcap_export.sound import sound_release
from endcap_rerank.deployed import deployed_release
from endcap_rerank.errors import InvalidInputError
from endcap_rerank.schema import MODELS
from tiny import tiny_products, tiny_release

PRODUCTS = tiny_products(40)


@pytest.fixture(scope="module")
def releases(tmp_path_factory):
    """Six releases, each of another encoder."""
    folder = tmp_path_factory.mktemp("releases")
    return [tiny_release(folder, PRODUCTS, seed=seed) for seed in range(6)]


@pytest.fixture
def repository(tmp_path, releases):
    """The first release, and the second beside it."""
    register(releases[0].path, tmp_path)
    serve_beside(str(releases[1].path), tmp_path)
    return tmp_path


def beside(repository):
    return releases_beside((repository / "models").resolve())


def check_served(repository, release):
    """All models of the release are there, and name only each other."""
    models = repository / "models"
    for model, name in zip(BESIDE, names_beside(release.id), strict=True):
        config = read_config(models / name / "config.pbtxt")
        assert config.name == name
        if MODELS[model].backend == "python":
            assert deployed_release(models / name / "1").id == release.id
    steps = read_config(models / f"search-{release.id}" / "config.pbtxt").ensemble_scheduling.step
    assert [step.model_name for step in steps] == list(names_beside(release.id)[:3])
    encoder = models / f"encode-{release.id}"
    assert (encoder / "1" / "model.onnx").samefile(
        repository / "releases" / release.id / "encoder" / "fp32.onnx"
    )
    assert read_config(encoder / "configs" / "tensorrt.pbtxt").name in ("", encoder.name)


def test_it_gets_models_of_its_own_and_the_current_release_keeps_its(repository, releases):
    check_served(repository, releases[1])
    assert current(repository).release == releases[0].id
    assert beside(repository) == [releases[1].id]
    assert not list(repository.glob(".draft*"))


def test_it_stays_when_others_are_registered_and_when_they_are_rolled_back(repository, releases):
    for release in releases[2:]:
        register(release.path, repository)
    assert current(repository).release == releases[5].id
    check_served(repository, releases[1])
    rollback(repository)
    check_served(repository, releases[1])
    assert not (repository / "releases" / releases[0].id).exists()


def test_it_ends_without_a_trace(repository, releases):
    end_beside(releases[1].id, repository)
    assert beside(repository) == []
    assert {path.name for path in (repository / "models").iterdir() if path.is_dir()} == set(MODELS)
    with pytest.raises(InvalidInputError, match="one of none is expected"):
        end_beside(releases[1].id, repository)
    serve_beside(releases[1].id, repository)
    check_served(repository, releases[1])


def test_a_broken_one_does_not_keep_a_server_from_starting(repository, releases):
    index = next((repository / "releases" / releases[1].id / "index").iterdir())
    index.unlink()
    said = []
    assert sound_release(repository, said.append).release == releases[0].id
    assert beside(repository) == []
    assert releases[1].id in said[0]


def test_what_is_no_release_is_refused(repository, releases):
    with pytest.raises(InvalidInputError, match="folder of a release"):
        serve_beside("absent", repository)
    with pytest.raises(InvalidInputError, match="another one than the current"):
        serve_beside(releases[0].id, repository)
