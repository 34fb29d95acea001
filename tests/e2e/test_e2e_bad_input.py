"""Bad input gets a clear error that names the field, and the server goes on."""

import http.client
import itertools
import json

import grpc
import numpy as np
import pytest
from endcap_client import InvalidRequest
from endcap_rerank.schema import MODELS
from tritonclient.grpc import service_pb2, service_pb2_grpc
from tritonclient.utils import InferenceServerException

from endcap.triton.installation import Installation

_numbers = itertools.count()
"""Another tensor each time: Triton's response cache keeps failed answers too, as empty ones."""

BAD = [
    ("query", {"query": ""}),
    ("query", {"query": " \t\n"}),
    ("query", {"query": "x" * 100_000}),
    ("query", {"query": b"caf\xe9"}),
    ("query", {"query": b"\xed\xa0\x80"}),
    ("k", {"k": 0}),
    ("k", {"k": -1}),
    ("k", {"k": 10_000}),
    ("diversity", {"diversity": -0.01}),
    ("diversity", {"diversity": 1.01}),
    ("diversity", {"diversity": float("nan")}),
    ("diversity", {"diversity": float("inf")}),
    ("options", {"options": "{"}),
    ("options", {"options": "[]"}),
    ("options", {"options": b"\xff"}),
    ("options", {"options": "{}" + " " * 20_000}),
    ("options.nope", {"options": '{"nope": 1}'}),
    ("options.filters.price_min", {"options": '{"filters": {"price_min": "cheap"}}'}),
    ("options.filters.colour", {"options": '{"filters": {"colour": "red"}}'}),
    ("options.caps.brand", {"options": '{"caps": {"brand": 0}}'}),
    ("options.algorithm", {"options": '{"algorithm": "random"}'}),
    ("user", {"user": "u" * 300}),
    ("user", {"user": b"\xff"}),
]


@pytest.mark.parametrize(("field", "change"), BAD, ids=[f"{field}-{n}" for n, (field, _) in enumerate(BAD)])
def test_search_names_the_field_and_goes_on(raw, field, change):
    with pytest.raises(InferenceServerException) as caught:
        raw.infer("search", **{"query": "red dress", **change})
    assert f"{field}: got" in caught.value.message()
    assert len(caught.value.message()) < 500
    assert caught.value.status() in ("StatusCode.INVALID_ARGUMENT", "400")
    assert len(raw.search("red dress")[0]) == 10


@pytest.mark.parametrize(
    ("field", "change"),
    [
        ("item", {"item": "no-such-item"}),
        ("item", {"item": b"\xff"}),
        ("k", {"item": "p0001", "k": 0}),
        ("diversity", {"user": "ada", "diversity": 2.0}),
        ("options.nope", {"item": "p0001", "options": '{"nope": 1}'}),
    ],
)
def test_recommend_names_the_field(raw, field, change):
    with pytest.raises(InferenceServerException) as caught:
        raw.infer("recommend", **change)
    assert f"{field}: got" in caught.value.message()
    assert caught.value.status() in ("StatusCode.INVALID_ARGUMENT", "400")


def test_sdk_error_carries_the_field(shop):
    with pytest.raises(InvalidRequest) as caught:
        shop.similar("no-such-item")
    assert caught.value.field == "item"
    with pytest.raises(InvalidRequest) as caught:
        shop.search("dress", filters={"price_min": "cheap"})
    assert caught.value.field == "options.filters.price_min"


@pytest.mark.parametrize(
    ("field", "change"),
    [("query", {"query": ["dress", ""]}), ("k", {"k": [5, 0]}), ("options", {"options": ["{}", "{"]})],
)
def test_row_of_a_batch_is_named(raw, field, change):
    with pytest.raises(InferenceServerException, match=rf"{field} \(row 1\): got"):
        raw.infer("search", **{"query": ["dress", "boots"], **change})


def test_bad_request_does_not_touch_those_batched_with_it(grpc):
    """Sent at the same time, so that Triton puts some of them into one batch."""
    answers = []
    module, client = grpc.module, grpc.client

    def tensor(name, array, dtype):
        made = module.InferInput(name, list(array.shape), dtype)
        made.set_data_from_numpy(array)
        return made

    for number in range(48):  # as many as may wait
        bad = number % 3 == 0
        query = np.array([[b"" if bad else b"red dress"]], dtype=np.object_)
        client.async_infer(
            "search",
            [tensor("query", query, "BYTES")],
            callback=lambda result, error, bad=bad: answers.append((bad, result, error)),
        )
    _wait_for(lambda: len(answers) == 48)
    assert all((error is not None) == bad for bad, _, error in answers)
    ids = {tuple(result.as_numpy("item_id")[0]) for bad, result, _ in answers if not bad}
    assert len(ids) == 1


def _wait_for(condition, seconds=20):
    import time

    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "timed out"
        time.sleep(0.01)


@pytest.mark.parametrize(
    ("name", "array", "dtype"),
    [
        ("query", np.array([[1]], dtype=np.int32), "INT32"),
        ("query", np.array([[b"a", b"b"]], dtype=np.object_), "BYTES"),
        ("k", np.array([[1.0]], dtype=np.float32), "FP32"),
        ("diversity", np.array([[[0.5]]], dtype=np.float32), "FP32"),
        ("no_such_input", np.array([[1]], dtype=np.int32), "INT32"),
    ],
)
def test_wrong_dtype_or_shape_is_refused_by_triton(raw, name, array, dtype):
    inputs = []
    tensors = {"query": (np.array([[b"red dress"]], dtype=np.object_), "BYTES"), name: (array, dtype)}
    for key, (values, kind) in tensors.items():
        made = raw.module.InferInput(key, list(values.shape), kind)
        made.set_data_from_numpy(values)
        inputs.append(made)
    with pytest.raises(InferenceServerException, match=name):
        raw.client.infer("search", inputs)
    assert len(raw.search("red dress")[0]) == 10


def test_missing_query_is_refused(raw):
    # With one input missing and one optional input given, Triton 2.51 itself does not name the missing one.
    with pytest.raises(InferenceServerException):
        raw.infer("search", k=5)
    with pytest.raises(InferenceServerException, match=r"query|input"):
        raw.infer("rerank", k=5)
    assert len(raw.search("red dress")[0]) == 10


def test_word_pieces_outside_the_vocabulary_fail_alone(raw):
    good = np.array([[2, 10, 11, 3]], dtype=np.int64)
    bad = np.array([[2, 10_000_000 + next(_numbers), 11, 3]], dtype=np.int64)
    mask = np.ones_like(good)
    with pytest.raises(InferenceServerException, match="onnxruntime"):
        raw.infer("encode", input_ids=bad, attention_mask=mask)
    assert np.isfinite(raw.infer("encode", input_ids=good, attention_mask=mask)["query_embedding"]).all()


def test_ids_and_mask_of_different_lengths_are_refused(raw):
    with pytest.raises(InferenceServerException, match="attention_mask"):
        raw.infer(
            "encode",
            input_ids=np.full((1, 8), 5 + next(_numbers), dtype=np.int64),
            attention_mask=np.ones((1, 4), dtype=np.int64),
        )


@pytest.fixture
def guarded():
    if Installation.find().unguarded:
        pytest.skip("no C compiler was there to make endcap/triton/_shapes.c")


@pytest.mark.parametrize(
    "shape", [[1, 2**62], [2**62, 1], [0, 2**62], [2**32, 2**32], [1, 2**40], [1, 2**22 + 1]]
)
@pytest.mark.parametrize("model", MODELS)
def test_a_shape_that_triton_would_die_of_is_refused(server, guarded, model, shape):
    refused = "has a shape of more than 4194304 values"
    spec = MODELS[model].inputs[0]
    channel = grpc.insecure_channel(server.grpc_url)
    connection = http.client.HTTPConnection(server.http_url, timeout=20)
    with channel:
        request = service_pb2.ModelInferRequest(model_name=model)
        request.inputs.add(name=spec.name, datatype=spec.dtype, shape=shape)
        request.raw_input_contents.append(b"")
        with pytest.raises(grpc.RpcError) as caught:
            service_pb2_grpc.GRPCInferenceServiceStub(channel).ModelInfer(request, timeout=20)
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert caught.value.details() == f"input '{spec.name}' {refused}"
    tensor = {"name": spec.name, "datatype": spec.dtype, "shape": shape}
    as_json = json.dumps({"inputs": [{**tensor, "data": []}]}).encode()
    as_binary = json.dumps({"inputs": [{**tensor, "parameters": {"binary_data_size": 0}}]}).encode()
    for body, headers in (
        (as_json, {}),
        (as_binary, {"Inference-Header-Content-Length": str(len(as_binary))}),
    ):
        connection.request("POST", f"/v2/models/{model}/infer", body, headers)
        response = connection.getresponse()
        assert response.status == 400
        assert refused in response.read().decode()
    connection.close()
    assert server.ready()
