"""``endcap bench sdk`` on the tiny shop: what does not depend on the machine's speed."""

from benchmarks.sdk import measure


def test_every_figure_is_measured_and_a_killed_server_costs_no_call(repository, tmp_path):
    queries = tmp_path / "queries.txt"
    queries.write_text("red tent\noak chair\nwool dress\n", "utf-8")
    stages = []
    report = measure(repository, queries, pairs=50, calls=100, seconds=2.0, progress=stages.append)
    figures = report.figures
    assert figures["sdk_overhead_ms"].goal == "<= 0.15"
    assert "sdk_http_processor_overhead_ms" in figures
    assert set(figures["sdk_overhead_ms"].baselines) == {"tritonclient", "sdk"}
    assert figures["killed_calls"].value > figures["killed_calls"].baselines["before the kill"] > 0
    assert figures["killed_lost_calls"].value == 0
    for protocol in ("grpc", "http"):
        assert figures[f"{protocol}_deadline_not_timeout"].value == 0
        assert figures[f"{protocol}_deadline_5ms_ms"].value >= 5.0
        assert figures[f"{protocol}_files_growth"].value <= 0
    assert "not hedged" in figures["hedged_p99_ms"].baselines
    assert len(stages) == 7
