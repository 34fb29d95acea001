import numpy as np
from typer.testing import CliRunner

from benchmarks.clustered_vectors import Mixture, fill, local_dimension
from endcap.cli import app
from endcap.reports import Report


def test_the_vectors_are_no_harder_or_easier_by_chance_and_queries_are_no_copies():
    mixture = Mixture.make(0)
    vectors, clusters = fill(mixture, 6000, 1)
    queries, _ = fill(mixture, 20, 2)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, rtol=1e-5)
    np.testing.assert_array_equal(fill(mixture, 6000, 1)[0], vectors)
    assert (vectors @ queries.T).max() < 0.95
    sizes = np.sort(np.bincount(clusters, minlength=5000))[::-1]
    assert sizes[:500].sum() > sizes[500:2500].sum()  # few are large
    assert local_dimension(vectors, queries) > 8


def test_the_report_has_the_figures_of_the_issue_and_loses_no_update(tmp_path):
    arguments = ["--products", "20000", "--seconds", "2", "--kills", "1", "--data", tmp_path]
    result = CliRunner().invoke(app, ["bench", "retrieval", *map(str, arguments), "--output", str(tmp_path)])
    assert result.exit_code == 0, result.output
    figures = Report.read(tmp_path / "retrieval.json").figures
    assert set(figures) >= {
        "million_recall100",
        "million_ms",
        "million_batch16_ms",
        "million_open_s",
        "three_process_memory_ratio",
        "growth_10k_to_1m",
        "filter_recall20_min",
        "filter_time_ratio_max",
        "update_visible_max_s",
        "update_p99_ratio",
    }
    assert figures["update_lost"].value == 0
    assert figures["update_lost"].baselines["acknowledged"] > 0
    assert figures["million_recall100"].value >= 0.98
    assert figures["filter_recall20_min"].value >= 0.98
