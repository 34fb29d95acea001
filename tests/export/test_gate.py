"""What loses against the running release, or is broken, is not served; and the figures are told."""

from __future__ import annotations

import json
import shutil

import numpy as np
import onnx
import pytest
from endcap_export import duel, gate
from endcap_export.bio import TaggedQuery
from endcap_export.data import Judgment
from endcap_export.encoder import OnnxEncoder
from endcap_export.gate import Check, GateError, Verdict, judge
from endcap_export.held import HeldSet
from endcap_export.registry import current, history, register, rollback, verify_served
from endcap_export.release import write_release
from endcap_export.served import Served
from endcap_rerank.errors import InvalidInputError, ReleaseError
from endcap_rerank.release import Release, checksum
from endcap_rerank.tokenizer import QueryTokenizer
from onnx import helper, numpy_helper
from tiny import DIMENSION, LABELS, TYPES, tiny_products, tiny_release
from typer.testing import CliRunner

from endcap.cli import app

PRODUCTS = tiny_products(240)
COLORS = ("red", "green", "black", "white", "grey")
KINDS = [kind for kinds in TYPES.values() for kind in kinds]
PARITY = {"embedding_max_abs": 2e-7, "logits_max_abs": 3e-6}
TAGGED = [
    TaggedQuery(f"{color} {kind}", (0, len(color) + 1), ("B-color", "B-product"))
    for color in COLORS
    for kind in KINDS
]
JUDGMENTS = [
    Judgment(f"{color} {kind}", product.id, grade)
    for color in COLORS
    for kind in KINDS
    for product in PRODUCTS
    if (grade := 2 * (kind in product.title.split()) + (color in product.title.split()))
]
HELD = HeldSet.of(TAGGED, JUDGMENTS)


@pytest.fixture(scope="module")
def good(tmp_path_factory):
    """A release with a held set."""
    return tiny_release(tmp_path_factory.mktemp("good"), PRODUCTS, held=HELD)


@pytest.fixture(scope="module")
def poor(tmp_path_factory, good):
    """The same after less training: it knows neither all kinds of products nor how to place them."""
    return changed(good, tmp_path_factory.mktemp("poor"), forget)


def changed(release, directory, change=lambda model: None, *, index_of=None, **parts):
    """The release with its encoder changed, and an index as it, or the one of ``index_of``, makes it."""
    model = onnx.load(release.encoder("fp32"))
    change(model)
    directory.mkdir(exist_ok=True)
    file = directory / "changed.onnx"
    onnx.save(model, file)
    encoder = OnnxEncoder(index_of.encoder("fp32") if index_of else file)
    tokens = QueryTokenizer(release).encode_products([product.encoder_text() for product in PRODUCTS])
    given = {
        "tokenizer": release.tokenizer,
        "encoders": {"fp32": file},
        "labels": release.labels,
        "text": release.text,
        "products": PRODUCTS,
        "embeddings": encoder.encode(tokens.input_ids, tokens.attention_mask)[0],
        "record": {"parity": PARITY},
        "held": HELD,
    }
    return write_release(directory / "releases", **{**given, **parts})


def forget(model):
    """Change an encoder so that half of the kinds of products are one and the same word to it."""
    table = next(array for array in model.graph.initializer if array.name == "table")
    values = numpy_helper.to_array(table).copy()
    kinds = np.flatnonzero(values[:, DIMENSION + LABELS.index("B-product")])
    values[kinds[::2]] = 0
    values[kinds[::2], 0] = 1.0
    values[kinds[::2], DIMENSION] = 8.0
    table.CopyFrom(numpy_helper.from_array(values, "table"))


def without_tags(model):
    """Change an encoder so that it has no tag head: its one label is O."""
    matrix = next(array for array in model.graph.initializer if array.name == "to_tags")
    matrix.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(matrix)[:, :1].copy(), "to_tags"))
    model.graph.output[1].type.tensor_type.shape.dim[2].dim_value = 1


def slow(model):
    """The same answers by a detour through matrices of 1500 x 1500."""
    wide = np.eye(1500, dtype=np.float32)
    for name, value in (("out", wide[:DIMENSION]), ("on", wide), ("back", wide[:, :DIMENSION])):
        model.graph.initializer.append(numpy_helper.from_array(value.copy(), name))
    names = ["pieces", "one", "two", "three", "detour"]
    steps = [
        helper.make_node("MatMul", [before, matrix], [after])
        for before, matrix, after in zip(names, ("out", "on", "on", "back"), names[1:], strict=False)
    ]
    at = next(i for i, node in enumerate(model.graph.node) if "pieces" in node.input)
    model.graph.node[at].input[0] = "detour"
    for step in reversed(steps):
        model.graph.node.insert(at, step)


def check(verdict, name):
    return next(one for one in verdict.checks if one.name == name)


def flip_a_byte(file):
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)


def test_an_equal_release_and_a_better_one_pass(tmp_path, good, poor):
    register(poor.path, tmp_path)
    assert register(good.path, tmp_path) == 2
    verdict = Verdict.from_mapping(current(tmp_path).gate)
    assert (verdict.candidate, verdict.running) == (good.id, poor.id)
    assert check(verdict, "tag F1").candidate == 1.0
    assert check(verdict, "tag F1").running < 0.95
    assert check(verdict, "nDCG@10").candidate > check(verdict, "nDCG@10").running
    twin = changed(good, tmp_path / "twin")
    assert register(twin.path, tmp_path) == 3
    assert current(tmp_path).forced == ""


def test_a_loser_is_refused_with_the_figures_and_leaves_no_trace(tmp_path, good, poor):
    register(good.path, tmp_path)
    with pytest.raises(
        GateError, match=r"tag F1: 0\.\d{3} against 1\.000, 0\.\d{3} less .* 120 held"
    ) as caught:
        register(poor.path, tmp_path)
    assert "nDCG@10: 0." in str(caught.value)
    assert "--force REASON" in str(caught.value)
    assert {one.name for one in caught.value.verdict.refusals} == {"tag F1", "nDCG@10"}
    assert [entry.release for entry in history(tmp_path)] == [good.id]
    assert not (tmp_path / "releases" / poor.id).exists()


def test_a_forced_loser_is_registered_and_the_reason_is_found(tmp_path, good, poor):
    register(good.path, tmp_path)
    with pytest.raises(InvalidInputError, match="force: got ' '"):
        register(poor.path, tmp_path, force=" ")
    assert register(poor.path, tmp_path, force="the law wants it") == 2
    register(good.path, tmp_path, force="not needed")
    stored = json.loads((tmp_path / "registry.json").read_text())
    assert [entry["forced"] for entry in stored] == ["", "the law wants it", ""]
    assert [one.name for one in Verdict.from_mapping(stored[1]["gate"]).refusals] == ["tag F1", "nDCG@10"]


@pytest.mark.parametrize("force", [None, "really"])
def test_an_index_of_another_encoder_is_refused_even_as_the_first_release(tmp_path, good, force):
    other = tiny_release(tmp_path / "other", PRODUCTS, seed=11)
    mixed = changed(good, tmp_path, index_of=other)
    with pytest.raises(GateError, match=r"index: .* cosine -?0\.\d{4} over 64 products") as caught:
        register(mixed.path, tmp_path / "repository", force=force)
    assert "--force cannot help" in str(caught.value)
    assert check(caught.value.verdict, "index").candidate < 0.5
    assert history(tmp_path / "repository") == ()


def test_a_few_vectors_of_another_encoder_are_found(tmp_path, good):
    vectors = Served.open(good, "fp32").index.index.dense.vectors.copy()
    vectors[-1] = vectors[0]
    patched = changed(good, tmp_path, embeddings=vectors)
    with pytest.raises(GateError, match=rf"at worst \({PRODUCTS[-1].id}\)"):
        register(patched.path, tmp_path / "repository")


def test_a_corrupted_byte_is_refused_whatever_the_reason(tmp_path, good):
    release = changed(good, tmp_path, encoders={name: good.encoder("fp32") for name in ("fp32", "int8")})
    before = checksum(release.encoder("int8"))[:12]
    flip_a_byte(release.encoder("int8"))
    after = checksum(release.encoder("int8"))[:12]
    with pytest.raises(ReleaseError, match=rf"int8\.onnx: checksum {after}…, the manifest says {before}"):
        register(release.path, tmp_path / "repository", force="really")


@pytest.mark.parametrize(
    ("record", "says"),
    [
        ({}, "does not say how far"),
        ({"parity": {**PARITY, "logits_max_abs": 0.02}}, "differ by 2.0e-02, at most 1e-04"),
        ({"parity": {**PARITY, "embedding_max_abs": float("nan")}}, "differ by nan"),
    ],
)
def test_an_export_that_differs_from_the_trained_encoder_is_refused(tmp_path, good, record, says):
    release = changed(good, tmp_path, record=record)
    with pytest.raises(GateError, match=says):
        register(release.path, tmp_path / "repository")
    assert register(release.path, tmp_path / "repository", force="measured by hand") == 1


def test_a_much_slower_encoder_is_refused(tmp_path, good):
    verdict = judge(changed(good, tmp_path, slow), "fp32", good, "fp32")
    assert [one.name for one in verdict.refusals] == ["ms per query"]
    assert check(verdict, "tag F1").candidate == 1.0
    assert "times as long on 50 held queries; at most 1.5 times" in check(verdict, "ms per query").says


def test_the_first_release_has_nothing_to_compare_with_and_says_so(good):
    verdict = judge(good, "fp32")
    assert not verdict.refusals
    assert [one.name for one in verdict.checks] == ["parity", "index", "comparison"]
    assert check(verdict, "comparison").says == "nothing is served yet"


def test_what_cannot_be_compared_is_said(tmp_path, good):
    bare = tiny_release(tmp_path, PRODUCTS)
    verdict = judge(bare, "fp32", tiny_release(tmp_path, PRODUCTS, seed=8), "fp32")
    assert check(verdict, "tag F1").says == "no held tagged queries, not compared"
    assert check(verdict, "nDCG@10").says == "no held judgments, not compared"
    assert "50 titles" in check(verdict, "ms per query").says
    # A candidate without held queries is compared on those of the running release.
    verdict = judge(bare, "fp32", good, "fp32")
    assert "those of the running release" in check(verdict, "tag F1").says


def test_tags_are_compared_on_the_types_that_both_know(tmp_path, good, poor):
    renamed = tuple(label.replace("color", "colour") for label in LABELS)
    says = check(judge(changed(poor, tmp_path, labels=renamed), "fp32", good, "fp32"), "tag F1")
    assert says.refused
    assert "types that both know: brand, material, price, product (no longer known: color)" in says.says
    foreign = tuple(label.replace("-", "-x") for label in LABELS)
    says = check(judge(changed(poor, tmp_path, labels=foreign), "fp32", good, "fp32"), "tag F1")
    assert not says.refused
    assert "share no type that occurs (xbrand, xcolor" in says.says


def test_a_release_that_no_longer_tags_loses(tmp_path, good):
    bare = changed(good, tmp_path / "bare", without_tags, labels=("O",), held=None)
    says = check(judge(bare, "fp32", good, "fp32"), "tag F1")
    assert (says.candidate, says.running, says.refused) == (0.0, 1.0, True)
    says = check(judge(good, "fp32", bare, "fp32"), "tag F1")
    assert says.says == "the running release tags no queries, not compared"
    with pytest.raises(ReleaseError, match="tag_logits has 9 labels, the manifest names 1"):
        judge(changed(good, tmp_path / "mixed", labels=("O",)), "fp32")


def test_queries_that_the_running_release_may_have_learned_from_do_not_count(tmp_path, good):
    def compared(kept):
        held = HeldSet.of(TAGGED[:kept], JUDGMENTS)
        running = changed(good, tmp_path / str(kept), held=held)
        return check(judge(good, "fp32", running, "fp32"), "tag F1").says

    assert compared(60).endswith("on 60 held queries of both releases")
    assert compared(20).endswith("on 120 held queries, 100 of them not held by the running release")


def test_chance_is_no_reason_to_refuse():
    def refused(candidate, low, high):
        return gate._quality("tag F1", duel.Scores(candidate, 0.8, low, high, 40)).refused

    assert not refused(0.77, -0.07, 0.01)
    assert not refused(0.795, -0.008, -0.002)
    assert refused(0.77, -0.05, -0.01)
    assert refused(0.72, -0.17, 0.01)
    assert not refused(0.9, 0.05, 0.15)


def test_the_interval_is_paired_by_query():
    generator = np.random.default_rng(1)
    hard = generator.uniform(0, 1, (200, 1))
    same = duel.paired(hard - 0.02, hard)
    assert same.low == pytest.approx(-0.02)
    assert same.high == pytest.approx(-0.02)
    other = duel.paired(generator.uniform(0, 1, (200, 1)), hard)
    assert other.low < other.difference < other.high


def test_a_held_set_is_capped_and_read_again(tmp_path):
    many = [TaggedQuery(f"query {number}", (0, 6), ("O", "B-a")) for number in range(900)]
    judged = [Judgment(f"q{n}", f"p{m}", m % 4) for n in range(400) for m in range(60)]
    flat = [Judgment("flat", f"p{m}", 1.0) for m in range(9)]
    held = HeldSet.of(many, judged + flat)
    assert (len(held.tagged), len(held.judged)) == (500, 300)
    assert {len(grades) for grades in held.judged.values()} == {50}
    assert set(next(iter(held.judged.values())).values()) == {0, 1, 2, 3}
    held.write(tmp_path / "held.gz")
    assert HeldSet.read(tmp_path / "held.gz") == held
    more = HeldSet.of([*many, *(TaggedQuery(f"new {n}", (0,), ("O",)) for n in range(90))], [])
    kept = {query.text for query in more.tagged} & {query.text for query in held.tagged}
    assert len(kept) > 430
    (tmp_path / "held.gz").write_bytes(b"no gzip")
    with pytest.raises(ReleaseError, match="not a held evaluation set"):
        HeldSet.read(tmp_path / "held.gz")
    assert not HeldSet.read(tmp_path / "absent.gz")


def test_rollback_asks_no_gate_but_the_checksums(tmp_path, good, poor):
    register(poor.path, tmp_path)
    register(good.path, tmp_path)
    assert rollback(tmp_path) == 3
    assert current(tmp_path).release == poor.id
    flip_a_byte(tmp_path / "releases" / good.id / "tokenizer.json")
    with pytest.raises(ReleaseError, match=r"tokenizer\.json: checksum"):
        rollback(tmp_path, good.id)
    assert current(tmp_path).release == poor.id


def test_what_is_served_is_held_against_the_checksums(tmp_path, good):
    with pytest.raises(ReleaseError, match="no release is registered"):
        verify_served(tmp_path)
    register(good.path, tmp_path)
    assert verify_served(tmp_path).release == good.id
    served = tmp_path / "models" / "encode" / "1" / "model.onnx"
    copy = served.read_bytes()
    served.unlink()
    with pytest.raises(ReleaseError, match=r"model\.onnx: missing"):
        verify_served(tmp_path)
    served.write_bytes(copy)
    verify_served(tmp_path)
    flip_a_byte(served)
    with pytest.raises(ReleaseError, match=r"encode/1/model\.onnx: checksum"):
        verify_served(tmp_path)


def test_a_changed_manifest_is_not_opened(tmp_path, good):
    copy = tmp_path / "copy"
    shutil.copytree(good.path, copy)
    manifest = json.loads((copy / "manifest.json").read_text())
    manifest["labels"].reverse()
    (copy / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(ReleaseError, match=r"manifest\.json: altered"):
        Release.open(copy)


def test_a_running_release_that_cannot_be_opened_is_replaced(tmp_path, good, poor):
    register(good.path, tmp_path)
    shutil.rmtree(tmp_path / "releases" / good.id / "index")
    assert register(poor.path, tmp_path) == 2
    assert "cannot be opened" in check(Verdict.from_mapping(current(tmp_path).gate), "comparison").says


def test_the_command_shows_the_figures(tmp_path, good, poor, monkeypatch):
    monkeypatch.setenv("COLUMNS", "160")

    def run(*arguments):
        return CliRunner().invoke(app, ["register", *map(str, arguments), "--repository", str(tmp_path)])

    assert run(good.path).exit_code == 0
    refused = run(poor.path)
    assert refused.exit_code == 1
    assert "refused: 0." in refused.output
    assert "error: " in refused.output
    forced = run(poor.path, "--force", "a trial")
    assert forced.exit_code == 0, forced.output
    assert "registered all the same: a trial" in forced.output
    assert "version 2" in forced.output


def test_a_check_survives_the_registry(good):
    verdict = Verdict("a", "b", (Check("tag F1", 0.5, None, True, "why", forceable=False),))
    assert Verdict.from_mapping(json.loads(json.dumps(verdict.as_mapping()))) == verdict
