"""Arrivals, visits, what is made of a recording, Triton's metrics, the search for a rate, a soak."""

import itertools
import math
import random
from collections import Counter

import numpy as np
import pytest
from endcap_rerank.errors import InvalidInputError

from benchmarks import load, slo, soak, triton_metrics
from benchmarks.arrivals import WARM_UP, Arrivals, Plan
from benchmarks.load_page import write_page
from benchmarks.load_run import Load, LoadError, Run
from benchmarks.load_series import by_phase, by_time, intervals, write_csv
from benchmarks.process_memory import memory
from benchmarks.session import Mix, Visits
from benchmarks.traffic import Traffic

TRAFFIC = Traffic(
    tuple(f"query {number}" for number in range(50)),
    ("ada", "bob"),
    (90, 100),
    ({"id": "p1", "title": "Tent", "price": 10.0},),
)


def due_times(plan, *, share=1.0, seed=7):
    arrivals = Arrivals(plan, lambda: 0.0, share=share, seed=seed)
    return np.array(list(iter(arrivals.next, None)))


def run_of(rows, shape="steady", **keywords):
    document = {"began": 0.0, "rows": rows, "messages": {}, "server": keywords.pop("server", [])}
    return Run.of_document(Load(shape=shape, **keywords), document)


def row(due, latency, error="", call="search", protocol="grpc", lag=0.0):
    return [protocol, call, due, latency, lag, error]


def test_arrivals_follow_the_plan_and_come_at_random():
    due = due_times(Plan.of_shape("spike", 50, 100, 20))
    counts = [np.count_nonzero((due >= a) & (due < b)) for a, b in [(0, 20), (20, 60), (60, 80), (80, 120)]]
    for count, expected in zip(counts, [550, 2000, 3000, 2000], strict=True):
        assert count == pytest.approx(expected, abs=5 * math.sqrt(expected))
    assert np.all(np.diff(due) > 0)
    gaps = np.diff(due[(due >= 20) & (due < 60)])
    # Exponential: as wide as its mean; evenly spaced requests would meet no queue.
    assert gaps.std() == pytest.approx(gaps.mean(), rel=0.1)


def test_processes_share_a_plan():
    plan = Plan.of_shape("steady", 40, 100, 0)
    parts = [due_times(plan, share=1 / 4, seed=seed) for seed in range(4)]
    assert sum(map(len, parts)) == pytest.approx(4000, abs=5 * math.sqrt(4000))


def test_arrivals_do_not_wait_for_answers():
    arrivals = Arrivals(Plan.of_shape("steady", 10, 10, 0), lambda: 9.0, seed=7)
    assert arrivals.next() < 2


def test_a_closed_loop_asks_again_at_once_until_its_end():
    clock = iter([0.5, 1.0, 99.0])
    arrivals = Arrivals(Plan.of_shape("saturate", 1, 10, 5), lambda: next(clock))
    assert [arrivals.next() for _ in range(3)] == [0.5, 1.0, None]


@pytest.mark.parametrize(
    ("shape", "rate", "seconds", "field"),
    [("wavy", 10, 10, "shape"), ("steady", 0, 10, "rate"), ("steady", 10, -1, "seconds")],
)
def test_a_plan_that_cannot_be_is_refused(shape, rate, seconds, field):
    with pytest.raises(InvalidInputError, match=field):
        Plan.of_shape(shape, rate, seconds, 1)


def play(mix, count, seed=7):
    visits = Visits(TRAFFIC, mix, random.Random(seed))
    actions = []
    for _ in range(count):
        actions.append(visits.next())
        visits.saw([f"p{number}" for number in range(20)])
    return actions


def test_a_visit_is_search_click_search_recommend():
    actions = play(Mix(clicks=1.0, updates=0.0), 3000)
    follow = Counter((one.call, two.call) for one, two in itertools.pairwise(actions))
    assert set(follow) == {
        ("search", "feedback"),
        ("feedback", "search"),
        ("feedback", "recommend"),
        ("recommend", "feedback"),
    }
    for one, two in itertools.pairwise(actions):
        if two.call == "feedback":
            assert two.document["user"] == one.user
            assert two.document["item"].startswith("p")
            assert two.document.get("query", "") == one.query
    users = Counter(action.user for action in actions if action.call == "recommend")
    assert users["ada"] > 5 * users["bob"]


def test_shares_of_the_mix_are_kept():
    actions = play(Mix(fresh=0.3, clicks=0.2, updates=0.05), 8000)
    calls = Counter(action.call for action in actions)
    assert calls["upsert"] / 8000 == pytest.approx(0.05, abs=0.015)
    assert calls["feedback"] / (calls["search"] + calls["recommend"]) == pytest.approx(0.2, abs=0.03)
    fresh = [
        action.query for action in actions if action.call == "search" and action.query not in TRAFFIC.queries
    ]
    assert len(fresh) / calls["search"] == pytest.approx(0.3, abs=0.03)
    assert len(set(fresh)) == len(fresh)
    assert all(9 <= action.document["price"] <= 11 for action in actions if action.call == "upsert")


def test_nobody_clicks_what_was_not_shown():
    visits = Visits(TRAFFIC, Mix(clicks=1.0, updates=0.0), random.Random(7))
    calls = set()
    for _ in range(50):
        calls.add(visits.next().call)
        visits.saw([])
    assert calls == {"search", "recommend"}


def test_figures_leave_out_the_warm_up_and_count_errors_by_class():
    rows = [row(0.5, 900.0)] + [row(2 + place / 50, 10.0 + place % 10) for place in range(200)]
    rows += [row(2.5, 8000.0, call="upsert")] * 4
    rows += [row(3.0, 5000.0, "Timeout"), row(3.1, 700.0, "NotSent", "any", "none")]
    run = run_of(rows, rate=50, seconds=4.0, warm_up=2.0)
    figures = load.as_report(run).figures
    assert figures["errors"].value == 2
    assert figures["errors_Timeout"].value == figures["errors_NotSent"].value == 1
    assert figures["grpc_errors"].value == 1
    assert figures["p99_ms"].value == pytest.approx(19.0)
    assert figures["grpc_upsert_p99_ms"].value == pytest.approx(8000.0)
    assert figures["rps"].value == pytest.approx(50.0)
    assert figures["offered_rps"].value == pytest.approx(51.5)
    assert "none_p99_ms" not in figures


def test_a_run_without_a_request_has_not_passed():
    with pytest.raises(LoadError, match="no request"):
        run_of([])


def test_an_answer_that_came_after_the_end_does_not_count_as_kept_up():
    run = run_of(
        [row(place / 10, 8000.0 if place >= 50 else 5.0) for place in range(100)], seconds=10.0, warm_up=0.0
    )
    assert run.kept_up == pytest.approx(0.5)


def test_pieces_of_time_and_phases_are_written(tmp_path):
    rows = [row(place / 20, 5.0 + place / 20) for place in range(220)]
    run = run_of(rows, "steps", seconds=10.0, warm_up=1.0, rate=20)
    phases = by_phase(run)
    assert [piece.phase for piece in phases] == ["4/s", "8/s", "12/s", "16/s", "20/s"]
    assert [piece.p50 for piece in phases] == sorted(piece.p50 for piece in phases)
    pieces = by_time(run)
    assert [piece.phase for piece in pieces][:3] == [WARM_UP, "4/s", "4/s"]
    write_csv(pieces, tmp_path / "load.csv")
    assert len((tmp_path / "load.csv").read_text().splitlines()) == 12
    write_page(load.as_report(run), tmp_path / "load.html", run=run, pieces=pieces, points=phases)
    assert (tmp_path / "load.html").read_text().count("<svg") == 3


def test_intervals_are_wide_where_requests_are_slow_together():
    numbers = np.random.default_rng(7)
    slow = np.repeat(numbers.exponential(10.0, 40), 50)
    together = run_of([row(place / 50, value) for place, value in enumerate(slow)], seconds=40.0)
    alone = run_of(
        [row(place / 50, value) for place, value in enumerate(numbers.permutation(slow))], seconds=40.0
    )
    widths = [high - low for low, high in (intervals(run.requests)[50] for run in (together, alone))]
    assert widths[0] > 2 * widths[1]


PAGE = """# TYPE nv_inference_request_success counter
nv_inference_request_success{model="search",version="1"} %(n)d
nv_inference_request_success{model="search",version="2"} 1
nv_inference_request_failure{model="search",reason="OTHER",version="1"} 2
nv_inference_queue_duration_us{model="search",version="1"} %(us)d
nv_inference_compute_input_duration_us{model="search",version="1"} %(us)d
nv_inference_compute_infer_duration_us{model="search",version="1"} %(us)d
nv_cache_num_hits_per_model{model="encode",version="1"} %(n)d
nv_cache_num_misses_per_model{model="encode",version="1"} 5
endcap_stage_milliseconds_sum{model="rerank",stage="rank"} %(us)d
endcap_stage_milliseconds_count{model="rerank",stage="rank"} %(n)d
endcap_stage_milliseconds_sum{model="recommend",stage="rank"} 77
nv_cpu_utilization 1
"""


def test_metrics_of_triton_are_read_and_held_against_earlier_ones():
    counted = triton_metrics.between(
        triton_metrics.parse(PAGE % {"n": 10, "us": 1000}), triton_metrics.parse(PAGE % {"n": 20, "us": 6000})
    )
    assert triton_metrics.models(counted) == ["search"]
    assert triton_metrics.per_request(counted, "search", "queue_us") == pytest.approx(0.5)
    assert triton_metrics.per_request(counted, "search", "compute_us") == pytest.approx(1.0)
    assert triton_metrics.stages(counted) == {"rank": 500.0}
    assert triton_metrics.cache_share(counted) == 1.0


def queue(asked, *, most=100.0):
    """A server that answers ``most`` a second: latency 1 ms, 1 / (1 - use) in a queue."""
    rate = most if asked.shape == "saturate" else asked.rate
    use = rate / most
    wait = 1.0 / (1 - use) if use < 1 else 1.0
    return run_of(
        [row(place / rate, 1 + wait) for place in range(int(rate * 10))], rate=rate, seconds=10.0, warm_up=0
    )


def test_the_highest_rate_that_keeps_a_p99_is_found():
    # 1 + 1 / (1 - use) = 11 at 90 a second.
    tried = list(
        slo.trials(queue, Load(seconds=10.0, warm_up=0), 11.0, slo.saturation(queue, Load()).answer_rate)
    )
    kept = [run.load.rate for run, good in tried if good]
    missed = [run.load.rate for run, good in tried if not good]
    assert max(kept) <= 90 < min(missed)
    assert min(missed) - max(kept) <= 0.05 * min(missed)


def test_a_rate_with_an_error_or_a_growing_queue_is_not_kept():
    rows = [row(place / 10, 5.0) for place in range(100)]
    assert slo.keeps(run_of(rows, seconds=10.0, warm_up=0), 10.0)
    assert not slo.keeps(run_of([*rows, row(5.0, 5.0, "Timeout")], seconds=10.0, warm_up=0), 10.0)
    late = [row(place / 10, 9000.0) for place in range(100)]
    assert not slo.keeps(run_of(late, seconds=10.0, warm_up=0), 10_000.0)


def test_a_soak_tells_growth_and_drift():
    def latency(at):
        return 30.0 if at > 245 else 10.0

    rows = [row(5 + place / 10, latency(5 + place / 10)) for place in range(2999)]
    readings = [(second, 200.0 if second < 245 else 220.0) for second in range(0, 305, 2)]
    figures = soak.as_report(run_of(rows, seconds=300.0, warm_up=5.0, rate=10), 17.0, readings).figures
    assert figures["errors"].met
    assert figures["memory_growth"].value == pytest.approx(0.1)
    assert figures["p99_drift"].value == pytest.approx(3.0)
    assert not figures["memory_growth"].met
    assert not figures["p99_drift"].met


def test_memory_counts_what_a_process_started():
    import os
    import subprocess
    import sys

    before = memory(os.getpid())
    code = "held = b'x' * 64_000_000; print(1, flush=True); input()"
    with subprocess.Popen([sys.executable, "-c", code], stdin=-1, stdout=-1) as child:
        child.stdout.readline()
        assert memory(os.getpid()) > before + 50
        child.communicate(b"\n")
