"""The backend inside a real tritonserver: ragged requests in one dynamic batch."""

import shutil

import numpy as np
import pytest
import tritonclient.grpc as grpcclient
from processes import wait_until
from tiny import LABELS

from endcap.launcher import Server

CONFIG = """
name: "encode"
backend: "onnxruntime"
max_batch_size: 32
input [
  { name: "input_ids" data_type: TYPE_INT64 dims: [ -1 ] allow_ragged_batch: true },
  { name: "attention_mask" data_type: TYPE_INT64 dims: [ -1 ] allow_ragged_batch: true }
]
output [
  { name: "query_embedding" data_type: TYPE_FP32 dims: [ 8 ] },
  { name: "tag_logits" data_type: TYPE_FP32 dims: [ -1, LABELS ] }
]
instance_group [ { kind: KIND_CPU count: 1 } ]
dynamic_batching { max_queue_delay_microseconds: 50000 }
optimization {
  graph { level: 1 }
  execution_accelerators { gpu_execution_accelerator [ { name: "tensorrt" } ] }
}
parameters { key: "intra_op_thread_count" value: { string_value: "1" } }
"""


@pytest.fixture(scope="module")
def ragged(tmp_path_factory, version_folder):
    folder = tmp_path_factory.mktemp("ragged")
    model = folder / "models" / "encode"
    model.mkdir(parents=True)
    shutil.copytree(version_folder, model / "1")
    (model / "config.pbtxt").write_text(CONFIG.replace("LABELS", str(len(LABELS))))
    with Server.start(folder, restricted=False) as server:
        yield server


@pytest.fixture
def client(ragged):
    with grpcclient.InferenceServerClient(ragged.grpc_url) as connected:
        yield connected


def inputs(ids, mask=None):
    made = []
    for name, array in (("input_ids", ids), ("attention_mask", np.ones_like(ids) if mask is None else mask)):
        tensor = grpcclient.InferInput(name, list(array.shape), "INT64")
        tensor.set_data_from_numpy(array)
        made.append(tensor)
    return made


def executions(client):
    stats = client.get_inference_statistics("encode").model_stats[0]
    return stats.inference_count, stats.execution_count


def send_together(client, requests):
    answers = {}
    for number, request in enumerate(requests):
        client.async_infer(
            "encode",
            request,
            callback=lambda result, error, number=number: answers.update({number: (result, error)}),
        )
    wait_until(lambda: len(answers) == len(requests))
    return [answers[number] for number in range(len(requests))]


def test_ragged_requests_batch_and_get_what_each_gets_alone(client):
    rng = np.random.default_rng(3)
    requests = [
        inputs(rng.integers(2, 9, (int(rng.integers(1, 4)), int(rng.integers(1, 30))))) for _ in range(30)
    ]
    alone = [client.infer("encode", request) for request in requests]
    before = executions(client)
    together = send_together(client, requests)
    after = executions(client)
    assert after[1] - before[1] < 15, "nothing was batched"
    for (result, error), expected in zip(together, alone, strict=True):
        assert error is None
        for name in ("query_embedding", "tag_logits"):
            assert result.as_numpy(name).shape == expected.as_numpy(name).shape
            np.testing.assert_allclose(result.as_numpy(name), expected.as_numpy(name), atol=1e-6)


def test_bad_request_in_a_batch_fails_alone(client):
    good = np.full((1, 5), 4, dtype=np.int64)
    requests = [
        inputs(good),
        inputs(np.full((1, 5), 999, dtype=np.int64)),
        inputs(good, np.ones((1, 3), dtype=np.int64)),
        inputs(good),
    ]
    answers = send_together(client, requests)
    assert [error is None for _, error in answers] == [True, False, False, True]
    assert "onnxruntime" in answers[1][1].message()
    assert "attention_mask: got shape [1, 3]" in answers[2][1].message()
    assert answers[1][1].status() == "StatusCode.INVALID_ARGUMENT"


def test_setting_without_effect_is_in_the_log(ragged):
    assert "GPU accelerator 'tensorrt' is ignored" in ragged.log.read_text()
