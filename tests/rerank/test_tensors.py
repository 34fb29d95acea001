"""Tensors become requests and ranked products become tensors, without Triton."""

import json

import numpy as np
import pytest
from endcap_rerank import tensors
from endcap_rerank.deployed import deployed_release, write_pointer
from endcap_rerank.errors import InvalidInputError, ReleaseError
from endcap_rerank.requests import Ranked


def column(*values):
    return np.array([[value] for value in values], dtype=np.object_)


def ranked(count):
    return Ranked(
        item_ids=[f"é{position}" for position in range(count)],
        scores=np.arange(count, dtype=np.float32),
        explanations=["{}"] * count,
        products=[""] * count,
        query_info='{"notes":[]}',
    )


ALL = ("item_id", "score", "explanation", "product", "query_info")


def test_answers_are_padded_to_the_longest():
    made = tensors.ranking([ranked(3), ranked(1), ranked(0)], ALL)
    assert made["item_id"].shape == made["score"].shape == (3, 3)
    assert made["item_id"][1].tolist() == ["é0".encode(), b"", b""]
    assert np.isnan(made["score"][1]).tolist() == [False, True, True]
    assert made["query_info"].tolist() == [[b'{"notes":[]}']] * 3
    assert all(made[name].dtype == np.object_ for name in ALL if name != "score")
    assert made["score"].dtype == np.float32


def test_only_wanted_outputs_are_made():
    assert set(tensors.ranking([ranked(2)], ["score", "query_info"])) == {"score", "query_info"}


def test_empty_answers_have_no_columns():
    assert tensors.ranking([ranked(0)], ALL)["item_id"].shape == (1, 0)


def test_missing_optional_inputs_are_none():
    request = tensors.recommend_request({"user": column(b"ada")}, 0)
    assert (request.user, request.item, request.k) == ("ada", "", 10)


def test_recommendation_without_any_input_is_one_anonymous_request():
    assert len(tensors.by_row({}, tensors.recommend_request)) == 1


@pytest.mark.parametrize("shape", [(), (1,), (1, 0), (2, 0)])
def test_a_tensor_with_fewer_elements_than_it_promised_is_refused(shape):
    with pytest.raises(InvalidInputError, match=r"^query.*one element a row, \[B, 1\], is expected"):
        tensors.by_row({"query": np.full(shape, b"lamp", np.object_)}, tensors.query_text)
    with pytest.raises(InvalidInputError, match=r"^k: "):
        tensors.number({"k": np.ones(shape, np.int32)}, "k", 0)


def test_row_is_named_only_among_several():
    inputs = {"user": column(b"ada", b"\xff")}
    with pytest.raises(InvalidInputError) as caught:
        tensors.by_row(inputs, tensors.recommend_request)
    assert caught.value.field == "user (row 1)"
    with pytest.raises(InvalidInputError) as caught:
        tensors.by_row({"user": column(b"\xff")}, tensors.recommend_request)
    assert caught.value.field == "user"


def test_event_takes_the_clock_when_no_time_is_given():
    inputs = {"user": column(b"ada"), "item": column(b"p1"), "event": column(b"click")}
    first = tensors.event(inputs, 0)
    assert first.timestamp > 1.7e9
    assert tensors.event({**inputs, "timestamp": np.array([[5.0]])}, 0).timestamp == 5.0
    assert tensors.event({**inputs, "position": np.array([[3]], dtype=np.int32)}, 0).position == 3


def test_upsert_reads_a_product():
    product = tensors.catalog_upsert(
        {"document": column(json.dumps({"id": "x", "title": "é\u4e2d"}).encode())}, 0
    )
    assert (product.id, product.title) == ("x", "é中")


@pytest.mark.parametrize(
    "raw", [b"", b"[1]", b"{", b"NaN", b'{"id": "x", "title": "\\ud800"}', b"[" * 100_000]
)
def test_document_that_is_no_object_is_refused(raw):
    with pytest.raises(InvalidInputError) as caught:
        tensors.catalog_upsert({"document": column(raw)}, 0)
    assert caught.value.field == "document"
    assert len(str(caught.value)) < 400


def test_version_folder_points_to_its_release(shop_release, tmp_path):
    version = tmp_path / "models" / "rerank" / "3"
    version.mkdir(parents=True)
    (tmp_path / "releases").mkdir()
    (tmp_path / "releases" / shop_release.path.name).symlink_to(shop_release.path)
    write_pointer(version, shop_release.path)
    assert deployed_release(version).id == shop_release.id
    (version / "release.json").write_text("[]")
    with pytest.raises(ReleaseError, match=r"release\.json"):
        deployed_release(version)


@pytest.mark.parametrize("missing", ["query_embedding", "tag_logits", "offsets"])
def test_an_answer_of_the_steps_before_that_lacks_an_output_is_named(missing):
    inputs = {
        "query": column(b"red tent"),
        "query_embedding": np.zeros((1, 4), np.float32),
        "tag_logits": np.zeros((1, 3, 1), np.float32),
        "offsets": np.zeros((1, 3, 2), np.int32),
    }
    del inputs[missing]
    with pytest.raises(InvalidInputError, match=f"^{missing}: .*ask for all of its outputs"):
        tensors.by_row(inputs, tensors.search_request)
