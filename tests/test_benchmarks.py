import itertools
import random
from collections import Counter

import pytest
from typer.testing import CliRunner

from benchmarks.traffic import Traffic, Zipf, never_repeated, read_queries
from endcap.cli import app
from endcap.reports import Report

QUERIES = ["red tent", "oak chair", "wool dress under $90", "steel kettle", "blue boots"]


@pytest.fixture
def shop(tmp_path):
    """The files of a shop that traffic is read from."""
    directory = tmp_path / "shop"
    directory.mkdir()
    (directory / "queries.csv").write_text("query,kind\n" + "".join(f"{query},type\n" for query in QUERIES))
    (directory / "events.csv").write_text("user_id,item_id\nada,p0001\nbob,p0002\nada,p0003\n")
    (directory / "products.jsonl").write_text('{"id": "p0001", "title": "T"}\n\n{"id": "p0002"}\n')
    return directory


def run(*arguments):
    return CliRunner().invoke(app, ["bench", *map(str, arguments)])


def test_traffic_is_read_from_a_shops_files(shop):
    traffic = Traffic.of_path(shop)
    products = ({"id": "p0001", "title": "T"}, {"id": "p0002"})
    assert traffic == Traffic(tuple(QUERIES), ("ada", "bob"), (2, 3), products)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("q.csv", "id,query\n2, oak chair \n1,red tent\n3,red tent\n4,\n"),
        ("q.txt", "red tent\n\noak chair\nred tent\n"),
        ("q.jsonl", '{"query": "red tent"}\n{"query": "oak chair"}\n'),
    ],
)
def test_queries_are_read_from_any_file_the_most_frequent_first(tmp_path, name, text):
    (tmp_path / name).write_text(text)
    assert read_queries(tmp_path / name) == ("red tent", "oak chair")


def test_a_file_without_queries_is_refused(tmp_path):
    (tmp_path / "q.csv").write_text("text\nred tent\n")
    with pytest.raises(ValueError, match="no column 'query'"):
        read_queries(tmp_path / "q.csv")
    (tmp_path / "q.txt").write_text("\n")
    with pytest.raises(ValueError, match="no query"):
        read_queries(tmp_path / "q.txt")


def test_few_queries_make_most_of_the_traffic():
    zipf, numbers = Zipf(1000), random.Random(7)
    drawn = Counter(zipf.draw(numbers) for _ in range(20_000))
    assert set(drawn) <= set(range(1000))
    # 1/H(1000) = 13.4% and half of it.
    assert drawn[0] / 20_000 == pytest.approx(0.134, abs=0.01)
    assert drawn[1] / 20_000 == pytest.approx(0.067, abs=0.01)


def test_queries_that_must_not_repeat_do_not():
    drawn = list(itertools.islice(never_repeated(QUERIES), 500))
    assert len(set(drawn)) == 500
    assert set(drawn[: len(QUERIES)]) == set(QUERIES)


def test_stages_are_measured_against_the_whole_request(repository, shop, tmp_path):
    done = run(
        "stages", "--repository", repository, "--queries", shop, "--requests", 40, "--output", tmp_path
    )
    assert done.exit_code == 0, done.output
    report = Report.read(tmp_path / "latency.json")
    value = {name: figure.value for name, figure in report.figures.items()}
    stages = [value[f"{stage}_p50_ms"] for stage in ("tokenize", "encode", "retrieve", "rank", "diversify")]
    assert min(stages) > 0
    assert value["stages_sum_p50_ms"] >= max(stages)
    assert value["end_to_end_p50_ms"] <= value["end_to_end_p99_ms"]
    assert value["end_to_end_ratio"] == pytest.approx(value["end_to_end_p50_ms"] / value["stages_sum_p50_ms"])
    assert report.figures["end_to_end_ratio"].low <= value["end_to_end_ratio"]
    assert value["same_answers"] == 1
    assert value["cache_hits"] == 0
    steps = [value[f"triton_{step}_mean_ms"] for step in ("tokenize", "encode", "rerank")]
    assert min(steps) > 0
    assert value["triton_steps_mean_ms"] == pytest.approx(sum(steps))
    # The hop into the process of rerank is on top of its stages.
    assert 0 < value["server_whole_mean_ms"] < value["triton_rerank_mean_ms"]
    assert value["end_to_end_triton_ratio"] == pytest.approx(value["end_to_end_mean_ms"] / sum(steps))


def test_a_repository_that_is_none_is_named(tmp_path, shop):
    done = run("load", "--repository", tmp_path / "absent", "--traffic", shop, "--output", tmp_path)
    assert done.exit_code == 1


def test_the_strategies_are_held_beside_pyversity_and_their_references(tmp_path):
    pytest.importorskip("pyversity")
    done = run("diversify", "--rounds", 8, "--cases", 6, "--products", 500, "--output", tmp_path)
    assert done.exit_code == 0, done.output
    figures = Report.read(tmp_path / "diversify.json").figures
    for name in ("mmr", "dpp", "msd", "ssd", "dpp_caps"):
        for size, goal in ((200, "<= 0.5"), (1000, "<= 0.8")):
            figure = figures[f"{name}_n{size}_ratio"]
            assert figure.goal == ("<= 1" if name == "dpp_caps" else goal)
            expected = figure.baselines["ours_us"] / figure.baselines["pyversity_us"]
            assert figure.value == pytest.approx(expected)
            assert figure.low <= figure.value <= figure.high
    assert figures["selection_mismatches"].value == 0
    assert figures["rerank_stage_p50_ms"].value > 0


def test_a_wrong_selection_is_a_mismatch(monkeypatch):
    from endcap_rerank.diversity import STRATEGIES

    from benchmarks.slow_selection import mismatches

    right = STRATEGIES["mmr"]
    assert mismatches("mmr", range(12)) == []
    monkeypatch.setitem(STRATEGIES, "mmr", lambda r, kernel, k, d, **rules: right(r, kernel, k, 0.0, **rules))
    assert len(mismatches("mmr", range(12))) >= 6
