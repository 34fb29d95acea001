"""A release is whole or not there, and says what is in it."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
from endcap_export.encoder import OnnxEncoder, encode_texts
from endcap_export.release import write_release
from endcap_rerank.errors import ReleaseError
from endcap_rerank.index import Index
from endcap_rerank.release import Release, TextSettings
from endcap_rerank.tokenizer import QueryTokenizer
from tiny import LABELS


def write_again(shop_release, directory, catalogue, **changed):
    """The tiny shop's release written once more, with something changed."""
    vectors = np.eye(len(catalogue), 48, dtype=np.float32)
    vectors[48:, 0] = 1.0
    parts = {
        "tokenizer": shop_release.tokenizer,
        "encoders": {"fp32": shop_release.encoder("fp32")},
        "labels": LABELS,
        "text": TextSettings(),
        "products": catalogue,
        "embeddings": vectors,
        **changed,
    }
    return write_release(directory, **parts)


def test_a_release_opens_verified_with_its_index_and_record(shop_release, tmp_path, shop_products):
    weights = {"weights": {}}
    record = {"metrics": {"f1": 0.5}}
    plan = tmp_path / "tensorrt.plan"
    plan.write_bytes(b"plan")
    plan.with_suffix(".json").write_text("{}")
    encoders = {name: shop_release.encoder("fp32") for name in ("fp32", "int8")}
    release = write_again(
        shop_release,
        tmp_path / "releases",
        shop_products,
        encoders={**encoders, "tensorrt": plan},
        ranking=weights,
        record=record,
    )
    opened = Release.open(release.path, verify=True)
    assert opened.path.name == opened.id
    assert opened.labels == LABELS
    assert opened.dimension == 48
    assert json.loads(opened.ranking.read_text()) == weights
    assert opened.manifest["record"] == record
    assert opened.manifest["products"] == len(shop_products)
    assert opened.manifest["precisions"] == ["fp32", "int8", "tensorrt"]
    assert {"python", "numpy", "onnxruntime"} <= set(opened.manifest["versions"])
    assert Index.open(opened.index).encoder_id == opened.encoder_id
    assert (opened.path / "encoder" / "tensorrt.plan").read_bytes() == b"plan"
    present = {path.relative_to(opened.path).as_posix() for path in opened.path.rglob("*") if path.is_file()}
    assert present == {*opened.manifest["checksums"], "manifest.json"}


@pytest.mark.parametrize("name", ["encoder/fp32.onnx", "tokenizer.json", "index"])
def test_one_changed_byte_anywhere_is_found(shop_release, tmp_path, name):
    copy = tmp_path / "copy"
    shutil.copytree(shop_release.path, copy)
    file = copy / name
    if file.is_dir():
        file = max((path for path in file.rglob("*") if path.is_file()), key=lambda path: path.stat().st_size)
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)
    with pytest.raises(ReleaseError, match=rf"{file.name}: checksum"):
        Release.open(copy, verify=True)
    file.unlink()
    with pytest.raises(ReleaseError, match=rf"{file.name} is missing"):
        Release.open(copy, verify=True)


def test_what_does_not_fit_is_refused_and_leaves_nothing(shop_release, tmp_path, shop_products):
    unit = np.eye(len(shop_products), 48, dtype=np.float32)
    unit[48:, 0] = 1.0
    broken = unit.copy()
    broken[5] = np.nan
    for changed, message in (
        ({"encoders": {"int8": shop_release.encoder("fp32")}}, "'fp32' is required"),
        ({"products": [], "embeddings": unit[:0]}, "catalogue is empty"),
        ({"embeddings": unit[1:]}, "one row a product"),
        ({"embeddings": unit.astype(np.float64)}, "float64"),
        ({"embeddings": broken}, r"row 5 .*norm nan"),
        ({"embeddings": unit * 2}, "norm 2"),
        ({"labels": ("O", "O")}, "labels"),
        ({"products": [shop_products[0]] * len(shop_products)}, shop_products[0].id),
    ):
        with pytest.raises((ReleaseError, ValueError), match=message):
            write_again(shop_release, tmp_path / "releases", shop_products, **changed)
    assert not (tmp_path / "releases").exists() or list((tmp_path / "releases").iterdir()) == []


def test_many_texts_embed_as_each_alone_and_in_order(shop_release, shop_products):
    encoder = OnnxEncoder(shop_release.encoder("fp32"))
    tokenizer = QueryTokenizer(shop_release)
    texts = [product.encoder_text() for product in shop_products[:40]] + ["red", "a b c d e f g"]
    done = []
    together = encode_texts(encoder, tokenizer.encode_products, texts, batch_pieces=64, progress=done.append)
    for text, vector in zip(texts, together, strict=True):
        tokens = tokenizer.encode_products([text])
        alone, _ = encoder.encode(tokens.input_ids, tokens.attention_mask)
        np.testing.assert_allclose(vector, alone[0], atol=1e-6)
    assert sum(done) == len(texts)
    assert len(done) > 5


def test_an_encoder_without_the_two_outputs_is_refused(tmp_path, shop_release):
    (tmp_path / "x.onnx").write_bytes(b"no graph")
    with pytest.raises(ReleaseError, match="cannot load"):
        OnnxEncoder(tmp_path / "x.onnx")
    encoder = OnnxEncoder(shop_release.encoder("fp32"))
    with pytest.raises(ValueError, match=r"one shape \[B, T\]"):
        encoder.encode(np.zeros((1, 3), np.int64), np.zeros((1, 4), np.int64))
