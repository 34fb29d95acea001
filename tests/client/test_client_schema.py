from pathlib import Path

import pytest
from endcap_client import schema
from endcap_client.options import Filters, Options
from endcap_rerank import options as server_options
from endcap_rerank import schema as server
from google.protobuf import text_format
from tritonclient.grpc import model_config_pb2

TEMPLATES = Path(__file__).parents[2] / "model_repository"


@pytest.mark.parametrize("model", schema.INPUTS)
def test_inputs_are_those_of_the_server(model):
    assert schema.INPUTS[model] == {spec.name: spec.dtype for spec in server.MODELS[model].inputs}


@pytest.mark.parametrize("model", [schema.SEARCH, schema.RECOMMEND])
def test_ranking_outputs_are_those_of_the_server(model):
    assert {spec.name: spec.dtype for spec in server.MODELS[model].outputs} == schema.RANKING_OUTPUTS


@pytest.mark.parametrize("model", [schema.FEEDBACK, schema.CATALOG])
def test_accepted_is_the_answer_to_a_change(model):
    assert [(spec.name, spec.dtype) for spec in server.MODELS[model].outputs] == [(schema.ACCEPTED, "INT32")]


def test_default_k_is_the_servers():
    assert schema.DEFAULT_K == server.DEFAULT_K


@pytest.mark.parametrize("model", schema.MAX_BATCH)
def test_batches_fit_the_deployed_limit(model):
    config = model_config_pb2.ModelConfig()
    text_format.Parse((TEMPLATES / model / "config.pbtxt").read_text("utf-8"), config)
    assert schema.MAX_BATCH[model] <= config.max_batch_size


def test_options_are_those_of_the_server():
    assert set(Options.__annotations__) == set(server_options._READERS)


def test_filters_are_those_of_the_server():
    for name in Filters.__annotations__:
        value = {"attributes": "{}", "in_stock": "true"}.get(name, "1" if "price" in name else '"a"')
        server_options.Options.parse(f'{{"filters": {{"{name}": {value}}}}}')
