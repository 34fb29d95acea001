"""More requests than a server can answer, and callers that give up."""

import json
import sqlite3
import time
from contextlib import closing

import numpy as np
import pytest
import tritonclient.grpc
from endcap_rerank.events import EVENTS_FILE
from test_e2e_metrics import Page
from tritonclient.grpc import service_pb2
from tritonclient.utils import InferenceServerException

from benchmarks.reliability.stream import closed, search_requests


def test_what_finds_a_full_queue_is_refused_as_unavailable_and_the_rest_is_answered(server):
    queries = (f"red dress {number}" for number in range(10**6))
    flood = closed(server.grpc_url, search_requests(queries), seconds=1.0, workers=500, deadline=60.0)
    assert flood.failed == []
    assert flood.late == 0
    assert len(flood.refused) > 0
    assert len(flood.answered) >= 64
    assert server.ready()


def test_a_search_that_was_begun_is_finished(server):
    """The first step refuses what is too much: none works for a search that a later one refuses."""
    steps = ("tokenize", "encode", "rerank")
    before = _finished(server, steps)
    queries = (f"blue jacket {number}" for number in range(10**6))
    flood = closed(server.grpc_url, search_requests(queries), seconds=1.5, workers=300, deadline=60.0)
    time.sleep(1.0)
    done = {step: count - before[step] for step, count in _finished(server, steps).items()}
    assert len(flood.refused) > 0
    assert done == dict.fromkeys(steps, len(flood.answered))


def test_events_of_a_flood_are_stored_or_their_callers_are_told(server, repository):
    """What waits is stored together; a bad event among it is refused alone."""
    kinds = ("view", "view", "view", "bogus")
    requests = (_event(f"flood-{number}", kinds[number % 4]) for number in range(10**6))
    flood = closed(server.grpc_url, requests, seconds=1.0, workers=400, deadline=60.0)
    assert flood.late == 0
    assert flood.failed
    assert all("bogus" in message for message in flood.failed)
    with closing(sqlite3.connect(repository / "state" / EVENTS_FILE)) as store:
        (stored,) = store.execute("SELECT count(*) FROM events WHERE user = 'flooding'").fetchone()
    assert stored == len(flood.answered) > 0


def test_work_for_a_caller_that_gave_up_stops_between_its_rows(server):
    line = {"model": "recommend"}
    time.sleep(1.5)  # what earlier tests asked for is on the page by then
    before = Page(server).value("endcap_answered_total", **line)
    client = tritonclient.grpc.InferenceServerClient(server.grpc_url)
    options = json.dumps({"explain": True, "fields": ["title", "brand"], "caps": {"brand": 2}})
    inputs = [
        _tensor("k", "INT32", np.full((32, 1), 200, np.int32)),
        _tensor("diversity", "FP32", np.full((32, 1), 0.9, np.float32)),
        _tensor("options", "BYTES", np.full((32, 1), options.encode(), np.object_)),
    ]
    for _ in range(3):
        with pytest.raises(InferenceServerException, match="Deadline"):
            client.infer("recommend", inputs, client_timeout=0.03)
    client.close()
    time.sleep(2.5)
    assert Page(server).value("endcap_answered_total", **line) - before < 3 * 32


def _finished(server, models):
    lines = Page(server).lines.items()
    return {
        model: sum(
            count
            for (name, labels), count in lines
            if name == "nv_inference_count" and ("model", model) in labels
        )
        for model in models
    }


def _event(event_id, kind):
    request = service_pb2.ModelInferRequest(model_name="feedback")
    for name, text in {"user": "flooding", "item": "p1", "event": kind, "event_id": event_id}.items():
        tensor = request.inputs.add(name=name, datatype="BYTES", shape=[1, 1])
        tensor.contents.bytes_contents.append(text.encode())
    return request.SerializeToString()


def _tensor(name, dtype, array):
    tensor = tritonclient.grpc.InferInput(name, list(array.shape), dtype)
    tensor.set_data_from_numpy(array)
    return tensor
