from benchmarks import rerank_stage


def test_the_stages_are_measured_on_a_small_catalogue():
    figure = rerank_stage.measure(products=600, requests=20, rounds=2, pause=0.0)["rerank_stage_p50_ms"]
    assert figure.goal == "<= 2.5"
    assert 0 < figure.low <= figure.value <= figure.high
    stages = [figure.baselines[stage] for stage in rerank_stage.STAGES]
    assert all(stage > 0 for stage in stages)
    assert figure.value <= figure.baselines["slowest_round"]
    assert 0.5 * sum(stages) < figure.value <= figure.baselines["p99"]
