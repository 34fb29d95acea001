"""The gate on trained encoders: less training, a corrupted byte, an index of another encoder."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("torch")
pytestmark = pytest.mark.train

from endcap_export.encoder import OnnxEncoder, encode_texts  # noqa: E402
from endcap_export.export import export_release  # noqa: E402
from endcap_export.gate import PARITY, GateError  # noqa: E402
from endcap_export.held import HeldSet  # noqa: E402
from endcap_export.parity import TOLERANCE  # noqa: E402
from endcap_export.registry import current, register  # noqa: E402
from endcap_export.release import write_release  # noqa: E402
from endcap_export.served import entities  # noqa: E402
from endcap_export.train import TrainingSettings  # noqa: E402
from endcap_export.trained import train_encoder  # noqa: E402
from endcap_rerank.errors import ReleaseError  # noqa: E402
from endcap_rerank.release import Release  # noqa: E402
from endcap_rerank.tokenizer import QueryTokenizer  # noqa: E402


@pytest.fixture(scope="module")
def good(tmp_path_factory, trained, shop):
    return export_release(trained, shop, tmp_path_factory.mktemp("good"))


@pytest.fixture(scope="module")
def hurried(tmp_path_factory, tiny_base, shop):
    """A release of the same shop whose encoder was trained for ten steps."""
    folder = tmp_path_factory.mktemp("hurried")
    settings = TrainingSettings(max_steps=10, batch_size=16, tag_batch_size=32, learning_rate=1e-3, seed=1)
    return export_release(train_encoder(shop, str(tiny_base), folder, settings), shop, folder / "releases")


def test_an_encoder_that_was_trained_less_loses_f1(tmp_path, good, hurried):
    register(hurried.path, tmp_path)
    assert register(good.path, tmp_path) == 2
    with pytest.raises(GateError, match=r"tag F1: 0\.\d+ against 0?1?\.\d+, 0\.\d+ less"):
        register(hurried.path, tmp_path)
    assert current(tmp_path).release == good.id


def test_an_int8_file_with_a_corrupted_byte_is_refused(tmp_path, hurried, good):
    release = again(hurried, tmp_path)
    file = release.encoder("int8")
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 0x10
    file.write_bytes(content)
    with pytest.raises(ReleaseError, match=r"int8\.onnx: checksum \w{12}…, the manifest says \w{12}…"):
        register(release.path, tmp_path / "repository")


def test_an_index_of_another_training_is_refused(tmp_path, good, hurried, shop):
    """Both began with the same BERT: their vectors are near, but not the same."""
    texts = [product.encoder_text() for product in shop.products]
    foreign = encode_texts(
        OnnxEncoder(hurried.encoder("int8")), QueryTokenizer(hurried).encode_products, texts
    )
    mixed = again(good, tmp_path, embeddings=foreign, products=shop.products)
    with pytest.raises(GateError, match=r"index: .*int8 encoder with cosine 0\.\d{4} over 64 products"):
        register(mixed.path, tmp_path / "repository")


def test_a_release_carries_what_was_held_out(good, shop):
    held = HeldSet.read(good.evaluation)
    assert {query.text for query in held.tagged} == {query.text for query in shop.held_tags}
    assert set(held.judged) <= {judgment.query for judgment in shop.held_judgments}
    assert "evaluation.json.gz" in good.manifest["checksums"]


def test_parity_is_the_same_here_and_at_export():
    assert PARITY == TOLERANCE


def test_entities_are_those_of_seqeval_in_strict_mode():
    seqeval = pytest.importorskip("seqeval.metrics.v1")
    from seqeval.scheme import IOB2

    generator = np.random.default_rng(3)
    names = np.array(["O", "B-a", "I-a", "B-b", "I-b"])
    lengths = generator.integers(1, 9, 300)
    gold, found = ([names[generator.integers(0, 5, size)].tolist() for size in lengths] for _ in range(2))
    right = sum(len(entities(a) & entities(b)) for a, b in zip(gold, found, strict=True))
    there, guessed = (sum(len(entities(one)) for one in several) for several in (gold, found))
    precision, recall, _, support = seqeval.precision_recall_fscore_support(
        gold, found, average="micro", scheme=IOB2, zero_division=0
    )
    assert (right / guessed, right / there) == (pytest.approx(precision), pytest.approx(recall))
    assert there == support


def again(release: Release, directory, **parts) -> Release:
    """The release written once more, with a part changed."""
    from endcap_rerank.index import Index

    index = Index.open(release.index)
    given = {
        "tokenizer": release.tokenizer,
        "encoders": {name: release.encoder(name) for name in ("fp32", "int8")},
        "labels": release.labels,
        "text": release.text,
        "products": [index.catalog.product(row) for row in range(index.count)],
        "embeddings": np.array(index.dense.vectors),
        "record": release.manifest["record"],
        "held": HeldSet.read(release.evaluation),
    }
    return write_release(directory / "again", **{**given, **parts})
