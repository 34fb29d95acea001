"""A config that the C++ backend would refuse is refused here too, with the tensor named."""

import copy

import numpy as np
import pytest
from ort_contract import Contract


def test_fitting_config_is_read_in_the_models_order(config, session):
    config["input"].reverse()
    contract = Contract.of(config, session)
    assert [spec.name for spec in contract.inputs] == ["input_ids", "attention_mask"]
    assert [spec.shape for spec in contract.outputs] == [("batch", 8), ("batch", "sequence", 9)]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda c: c["output"][0].update(dims=["-1"]), "'query_embedding'.*fixed dimensions must be equal"),
        (lambda c: c["output"][0].update(dims=["7"]), "'query_embedding'.*fixed dimensions must be equal"),
        (lambda c: c["output"][1].update(dims=["9"]), "'tag_logits'"),
        (lambda c: c["output"][0].update(data_type="TYPE_FP16"), "'query_embedding'.*TYPE_FP16"),
        (lambda c: c["input"][0].update(data_type="TYPE_INT32"), "'input_ids'.*TYPE_INT32"),
        (lambda c: c["input"][0].update(data_type="TYPE_STRING"), "'input_ids'.*TYPE_STRING"),
        (lambda c: c["input"].pop(), "attention_mask"),
        (lambda c: c["input"].append({"name": "x", "data_type": "TYPE_INT64", "dims": ["1"]}), "'x'"),
        (lambda c: c["output"][0].update(name="embedding"), "unexpected inference output 'embedding'"),
        (lambda c: c.update(max_batch_size=0), "model configuration specifies"),
        (lambda c: c["output"][0].update(reshape={"shape": ["8", "1"]}), "does not reshape"),
    ],
)
def test_config_that_does_not_fit_is_refused(config, session, change, message):
    change(config)
    with pytest.raises(ValueError, match=message):
        Contract.of(config, session)


def test_fixed_size_for_a_varying_dimension_is_fine(config, session):
    config["input"][0]["dims"] = ["16"]
    Contract.of(config, session)


def test_unbatched_model_gives_whole_shapes(config, session):
    unbatched = copy.deepcopy(config)
    unbatched["max_batch_size"] = 0
    for entry in (*unbatched["input"], *unbatched["output"]):
        entry["dims"] = ["-1", *entry["dims"]]
    assert not Contract.of(unbatched, session).batched


def test_sizes_of_one_name_must_agree_within_a_request(config, session):
    contract = Contract.of(config, session)
    contract.check([np.zeros((2, 5)), np.zeros((2, 5))])
    with pytest.raises(ValueError, match=r"attention_mask: got shape \[2, 4\]; 'sequence' is 5 in input_ids"):
        contract.check([np.zeros((2, 5)), np.zeros((2, 4))])
