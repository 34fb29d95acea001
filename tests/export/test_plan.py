"""A plan against the config that serves it: every disagreement is found before Triton would."""

from __future__ import annotations

import json
from dataclasses import asdict

import pytest
from endcap_export.generation import read_config
from endcap_export.plan import PlanError, check_plan
from endcap_export.registry import default_templates
from endcap_export.tensorrt import Profile
from google.protobuf import text_format

TENSORS = {
    "input_ids": ["input", "INT64", [-1, -1]],
    "attention_mask": ["input", "INT64", [-1, -1]],
    "query_embedding": ["output", "FLOAT", [-1, 384]],
    "tag_logits": ["output", "FLOAT", [-1, -1, 35]],
}
CONFIG = default_templates() / "encode" / "configs" / "tensorrt.pbtxt"


def described(folder, tensors=None, profile=None, **changed):
    record = {"tensors": TENSORS | (tensors or {}), "profiles": [asdict(profile or Profile())], **changed}
    plan = folder / "tensorrt.plan"
    plan.with_suffix(".json").write_text(json.dumps(record))
    return plan


def test_a_plan_that_fits_is_passed(tmp_path):
    check_plan(described(tmp_path), CONFIG)


@pytest.mark.parametrize(
    ("tensors", "profile", "says"),
    [
        ({"query_embedding": ["output", "HALF", [-1, 384]]}, None, "is HALF in the plan, TYPE_FP32 in"),
        ({"tag_logits": ["output", "FLOAT", [-1, 35]]}, None, "tag_logits has dims"),
        ({"tag_logits": ["input", "FLOAT", [-1, -1, 35]]}, None, "is an input of the plan, an output of"),
        ({"vector": ["output", "FLOAT", [-1, 384]]}, None, "vector is only in the plan"),
        (None, Profile(batch=(1, 1, 16)), "batches of 1 to 16, max_batch_size is 32"),
        (None, Profile(length=(1, 12, 48)), "warm-up largest: 32 x 64; the profile takes 1 to 32 x 1 to 48"),
        (None, Profile(length=(8, 12, 64)), "warm-up smallest: 1 x 4"),
        (None, Profile(length=(1, 80, 64)), "length 1, 80, 64 does not rise"),
    ],
)  # fmt: skip
def test_a_disagreement_is_named(tmp_path, tensors, profile, says):
    with pytest.raises(PlanError, match=says):
        check_plan(described(tmp_path, tensors, profile), CONFIG)


def test_widths_are_compared_where_the_config_fixes_them(tmp_path):
    config = read_config(CONFIG)
    for output, dims in zip(config.output, ([64], [-1, 35]), strict=True):
        output.dims[:] = dims
    fixed = tmp_path / "config.pbtxt"
    fixed.write_text(text_format.MessageToString(config))
    with pytest.raises(
        PlanError, match=r"query_embedding has dims \[384\] in the plan, \[64\] in the config"
    ):
        check_plan(described(tmp_path), fixed)
    check_plan(described(tmp_path, {"query_embedding": ["output", "FLOAT", [-1, 64]]}), fixed)


def test_a_plan_without_its_record_or_a_profile_is_refused(tmp_path):
    with pytest.raises(PlanError, match=r"tensorrt\.json: a record of the engine is expected"):
        check_plan(tmp_path / "tensorrt.plan", CONFIG)
    with pytest.raises(PlanError, match="no profile"):
        check_plan(described(tmp_path, profiles=[]), CONFIG)
