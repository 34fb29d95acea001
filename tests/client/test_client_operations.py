import json
import math

import numpy as np
import pytest
from endcap_client import Event, IncompatibleServer, InvalidRequest, SearchResult, grpc_codec, schema
from endcap_client import operations as ops
from endcap_client.http_codec import decode_answer, encode_request
from tritonclient.grpc import InferInput as GrpcInput
from tritonclient.grpc import InferRequestedOutput as GrpcOutput
from tritonclient.grpc import InferResult, service_pb2
from tritonclient.http import InferenceServerClient
from tritonclient.utils import serialize_byte_tensor


def sent(operation):
    """The inputs of an operation as plain lists."""
    return {name: values.tolist() for name, _, values in operation.inputs}


def answer(**tensors):
    """A real gRPC answer with these tensors."""
    response = service_pb2.ModelInferResponse()
    for name, values in tensors.items():
        is_text = values.dtype == np.object_
        response.outputs.add(name=name, datatype="BYTES" if is_text else "FP32", shape=values.shape)
        raw = serialize_byte_tensor(values).item() if is_text else values.tobytes()
        response.raw_output_contents.append(raw)
    return grpc_codec.decode_answer(response, "h:1").get


INFO = {
    "release": "r1",
    "tags": [{"label": "品牌", "text": "米", "start": 0, "end": 1, "confidence": 0.9}],
    "constraints": {"price_max": 50},
    "notes": ["unknown user"],
}
RANKED = {
    "item_id": np.array([[b"a", b"b"], [b"c", b""]], object),
    "score": np.array([[0.5, 0.25], [1.0, math.nan]], np.float32),
    "query_info": np.array([[json.dumps(INFO).encode()], [b"{}"]], object),
}


def test_every_input_is_declared_in_the_schema():
    event = Event("u", "i", "click", 1.0, "q", 3, release="r")
    made = [
        ops.search(("q",), "u", 5, 0.3, {"explain": True}),
        ops.recommend("u", "i", 5, 0.3, {"explain": True}),
        *ops.feedback(event),
        *ops.upsert({"id": "1"}),
    ]
    for operation in made:
        declared = {name: datatype for name, datatype, _ in operation.inputs}
        assert declared == schema.INPUTS[operation.model]
        for name, datatype, values in operation.inputs:  # tritonclient accepts the arrays as these dtypes
            GrpcInput(name, values.shape, datatype).set_data_from_numpy(values)


def test_a_plain_search_sends_and_asks_for_no_more_than_needed():
    operation = ops.search(("drill",), None, 10, None, {})
    assert sent(operation) == {"query": [[b"drill"]], "k": [[10]]}
    assert set(operation.outputs) == {"item_id", "score", "query_info"}


def test_explanations_and_fields_are_asked_for_when_wanted():
    operation = ops.search(("drill",), None, 10, None, {"explain": True, "fields": ["title"]})
    assert {"explanation", "product"} <= set(operation.outputs)
    assert json.loads(sent(operation)["options"][0][0]) == {"explain": True, "fields": ["title"]}


def test_rows_are_read_without_their_filling():
    first, second = ops.search(("x", "y"), None, 2, None, {}).read(answer(**RANKED), 0.1)
    assert (first.ids, second.ids) == (["a", "b"], ["c"])
    assert [item.score for item in first] == [0.5, 0.25]


def test_what_was_understood_is_read():
    result = ops.search(("x", "y"), None, 2, None, {}).read(answer(**RANKED), 0.1)[0]
    assert (result.release, result.notes, result.constraints) == ("r1", ("unknown user",), {"price_max": 50})
    assert (result.tags[0].label, result.tags[0].text, result.tags[0].confidence) == ("品牌", "米", 0.9)
    assert result.latency == 0.1


def test_explanations_and_products_are_read():
    documents = np.array([[b'{"dense": 0.5}', b'{"dense": 0.1}'], [b"{}", b""]], object)
    tensors = answer(
        **RANKED, explanation=documents, product=np.array([[b'{"title": "T"}', b""], [b"", b""]], object)
    )
    first = ops.search(("x", "y"), None, 2, None, {"explain": True}).read(tensors, 0.0)[0].items[0]
    assert (first.explanation, first.product) == ({"dense": 0.5}, {"title": "T"})


def test_an_answer_without_its_outputs_is_an_incompatible_server():
    with pytest.raises(IncompatibleServer, match="item_id"):
        ops.search(("x",), None, 2, None, {}).read(answer(), 0.0)


def test_results_are_frozen_and_compared_without_latency():
    one, other = (ops.search(("x",), None, 2, None, {}).read(answer(**RANKED), t)[0] for t in (0.1, 0.2))
    assert one == other
    assert isinstance(one, SearchResult)
    with pytest.raises(AttributeError):
        one.items = ()


def test_the_http_body_is_what_tritonclient_would_send():
    operation = ops.search(("drill", "红色 dress"), ["ada", None], 7, 0.25, {"caps": {"brand": 2}})
    body, header_length = encode_request(operation)
    ours, theirs = json.loads(body[:header_length]), None
    from tritonclient.http import InferInput, InferRequestedOutput

    inputs = []
    for name, datatype, values in operation.inputs:
        inputs.append(InferInput(name, list(values.shape), datatype).set_data_from_numpy(values))
    outputs = [InferRequestedOutput(name) for name in operation.outputs]
    reference, reference_length = InferenceServerClient.generate_request_body(inputs, outputs=outputs)
    theirs = json.loads(reference[:reference_length])
    assert ours == theirs
    assert body[header_length:] == reference[reference_length:]


def test_http_answers_are_read_as_tritonclient_reads_them():
    header = {"outputs": []}
    payload = b""
    for name, values in RANKED.items():
        is_text = values.dtype == np.object_
        raw = serialize_byte_tensor(values).item() if is_text else values.tobytes()
        output = {"name": name, "datatype": "BYTES" if is_text else "FP32", "shape": list(values.shape)}
        header["outputs"].append({**output, "parameters": {"binary_data_size": len(raw)}})
        payload += raw
    head = json.dumps(header).encode()
    ours = decode_answer(head + payload, str(len(head)), "h:1")
    theirs = InferenceServerClient.parse_response_body(head + payload, header_length=len(head))
    for name in RANKED:
        np.testing.assert_array_equal(ours[name], theirs.as_numpy(name))


@pytest.mark.parametrize(
    "body", [b"", b"<html>", b"{}", b'{"outputs": [{"name": "x", "shape": [1], "datatype": "?"}]}']
)
def test_a_body_that_is_no_answer_is_an_incompatible_server(body):
    with pytest.raises(IncompatibleServer):
        decode_answer(body, None, "h:1")


@pytest.mark.parametrize(
    ("keywords", "kind", "field"),
    [
        ({"k": 2**31}, InvalidRequest, "k"),
        ({"k": "5"}, TypeError, "k"),
        ({"k": True}, TypeError, "k"),
        ({"k": 2.0}, TypeError, "k"),
        ({"diversity": "0.3"}, TypeError, "diversity"),
        ({"user": 17}, TypeError, "user"),
        ({"queries": (b"bytes",)}, TypeError, "query"),
        ({"queries": ("\ud800",)}, InvalidRequest, "query"),
        ({"options": {"filtres": {}}}, TypeError, "filtres"),
        ({"options": {"filters": {"price_max": math.nan}}}, InvalidRequest, "options.filters"),
        ({"options": {"boost": {"a": object()}}}, InvalidRequest, "options.boost"),
    ],
)
def test_arguments_that_cannot_be_sent_are_refused_by_name(keywords, kind, field):
    arguments = {"queries": ("x",), "user": None, "k": 5, "diversity": None, "options": {}, **keywords}
    with pytest.raises(kind, match=field) as caught:
        ops.search(**arguments)
    if kind is InvalidRequest:
        assert caught.value.field == field


def test_numpy_numbers_and_collections_are_welcome():
    options = {"exclude": {"b", "a"}, "recent": np.array(["x"]), "caps": {"brand": np.int64(2)}}
    operation = ops.search(("x",), None, np.int64(5), np.float32(0.5), options)
    assert sent(operation)["k"] == [[5]]
    assert json.loads(sent(operation)["options"][0][0]) == {
        "exclude": ["a", "b"],
        "recent": ["x"],
        "caps": {"brand": 2},
    }


def test_long_lists_are_cut_into_requests_in_order():
    queries = [str(n) for n in range(70)]
    made = ops.search_many(queries, queries, 5, None, {})
    assert [len(sent(operation)["query"]) for operation in made] == [32, 32, 6]
    assert [row[0].decode() for operation in made for row in sent(operation)["user"]] == queries
    assert len(ops.delete(str(n) for n in range(33))) == 2


def test_a_batch_needs_one_user_a_query():
    with pytest.raises(InvalidRequest, match="user"):
        ops.search_many(["a", "b"], ["ada"], 5, None, {})
    with pytest.raises(TypeError, match="queries"):
        ops.search_many("one query", None, 5, None, {})


def test_events_with_different_fields_go_in_requests_of_their_own():
    made = ops.feedback([{"user": "u", "item": "1"}, Event("u", "2", position=3), {"user": "u", "item": "3"}])
    assert [sent(operation)["item"] for operation in made] == [[[b"1"], [b"3"]], [[b"2"]]]
    assert "position" not in sent(made[0])
    assert sent(made[1])["position"] == [[3]]


def test_an_event_sent_again_keeps_its_id():
    event = Event("u", "i")
    (first,), (second,) = ops.feedback(event), ops.feedback(event)
    assert sent(first)["event_id"] == sent(second)["event_id"]
    assert Event("u", "i").event_id != event.event_id


@pytest.mark.parametrize("event", [{"user": "u"}, {"user": "u", "item": "i", "who": "x"}, "click", 7])
def test_an_event_of_another_shape_is_a_type_error(event):
    with pytest.raises(TypeError):
        ops.feedback([event])


def test_the_grpc_message_is_what_tritonclient_would_send():
    operation = ops.search(("drill", "红色 dress"), ["ada", None], 7, 0.25, {"caps": {"brand": 2}})
    reference = service_pb2.ModelInferRequest(model_name=operation.model)
    for name, datatype, values in operation.inputs:
        tensor = GrpcInput(name, list(values.shape), datatype).set_data_from_numpy(values)
        reference.inputs.append(tensor._get_tensor())
        reference.raw_input_contents.append(tensor._get_content())
    for name in operation.outputs:
        reference.outputs.append(GrpcOutput(name)._get_tensor())
    assert grpc_codec.encode_request(operation) == reference


def test_grpc_answers_are_read_as_tritonclient_reads_them():
    response = service_pb2.ModelInferResponse()
    for name, values in RANKED.items():
        is_text = values.dtype == np.object_
        response.outputs.add(name=name, datatype="BYTES" if is_text else "FP32", shape=values.shape)
        response.raw_output_contents.append(
            serialize_byte_tensor(values).item() if is_text else values.tobytes()
        )
    ours, theirs = grpc_codec.decode_answer(response, "h:1"), InferResult(response)
    for name in RANKED:
        np.testing.assert_array_equal(ours[name], theirs.as_numpy(name))
    response.raw_output_contents[0] = b"\xff\xff"
    with pytest.raises(IncompatibleServer):
        grpc_codec.decode_answer(response, "h:1")


def test_only_reads_run_twice_and_only_what_is_stored_once_is_repeated():
    (feedback,), (upsert,), (delete,) = (
        ops.feedback(Event("u", "i")),
        ops.upsert({"id": "1"}),
        ops.delete("1"),
    )
    search, recommend = ops.search(("x",), None, 5, None, {}), ops.recommend("u", None, 5, None, {})
    made = [search, recommend, feedback, upsert, delete]
    assert [operation.hedgeable for operation in made] == [True, True, False, False, False]
    assert [operation.repeatable for operation in made] == [True, True, True, False, False]
