"""``endcap bench reliability`` on the tiny shop: what does not depend on the machine's speed."""

import json
import math
import random

import pytest
from endcap_rerank.errors import EndcapError, InvalidInputError
from tritonclient.grpc import service_pb2

from benchmarks.reliability.canaries import Canaries
from benchmarks.reliability.fuzz import measure_fuzz
from benchmarks.reliability.fuzz_calls import KINDS
from benchmarks.reliability.fuzz_tensors import asked
from benchmarks.reliability.ground import Ground, copied
from benchmarks.reliability.measure import measure

QUERIES = (
    "red dress",
    "oak chair",
    "wool coat",
    "blue lamp",
    "steel kettle",
    "tent",
    "shoes",
    "cotton shirt",
)


def test_fuzzed_requests_harm_nobody_and_every_kind_is_sent(repository, shop_products, tmp_path):
    items = [product.id for product in shop_products]
    with Ground(copied(repository, tmp_path / "repository")) as ground:
        figures, examples = measure_fuzz(ground, QUERIES, items, requests=150, progress=lambda stage: None)
        assert {stub.model for stub in ground.stubs} >= {"tokenize", "encode", "rerank", "feedback"}
        assert ground.memory() > 50
    assert examples == []
    assert figures["fuzz_failures"].value == 0
    assert set(KINDS) <= set(figures["fuzz_failures"].baselines)
    assert figures["fuzz_failures"].baselines["canary_answers"] > 0


def test_the_same_seed_makes_the_same_requests():
    def made(seed):
        rng = random.Random(seed)
        return [asked(rng, ["u"], ["p1"]).proto(rng) for _ in range(200)]

    assert made(3) == made(3)
    assert made(3) != made(4)
    assert len(set(made(3))) > 150


def test_a_list_that_is_another_shoppers_is_noticed():
    canaries = Canaries("127.0.0.1:9")
    canaries.lists = {("lamp", ""): ["a", "b", "c"], ("lamp", "one"): ["d", "a", "b"]}
    canaries.compare("lamp", "one", ["d", "b", "a"])
    assert (canaries.checked, canaries.wrong) == (1, [])
    canaries.compare("lamp", "one", ["a", "b", "c"])
    assert canaries.wrong == ["'lamp' for one"]


def test_unknown_part_is_refused(repository, tmp_path):
    with pytest.raises(InvalidInputError, match="parts: got 'naps'"):
        measure(repository, tmp_path, parts=["naps"])


def test_a_missing_redis_is_met_before_any_part_is_run(repository, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    told: list[str] = []
    with pytest.raises(EndcapError, match="neither valkey-server nor redis-server is on PATH"):
        measure(repository, tmp_path, parts=["switches", "store"], progress=told.append)
    assert told == []


def test_shapes_of_all_kinds_are_sent():
    rng = random.Random(6)
    shapes = []
    for _ in range(3000):
        request = asked(rng, ["u"], ["p1"])
        proto = service_pb2.ModelInferRequest.FromString(request.proto(rng))
        body, head = request.binary()
        shapes += [list(tensor.shape) for tensor in proto.inputs]
        shapes += [one["shape"] for one in json.loads(body[:head])["inputs"]]
        shapes += [one["shape"] for one in json.loads(request.document())["inputs"]]
    sizes = [math.prod(shape) for shape in shapes]
    assert max(sizes) >= 2**62  # the number of bytes overflows 64 bits
    assert any(10**9 < size < 2**59 for size in sizes)  # room is made for them
    assert any(0 in shape for shape in shapes)
    assert min(sizes) < 0
