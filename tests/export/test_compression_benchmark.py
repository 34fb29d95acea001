"""The benchmark of compressed forms: one row a form, and what it writes."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

pytest.importorskip("torch")
pytestmark = pytest.mark.train

from benchmarks import compression  # noqa: E402
from endcap.cli import app  # noqa: E402
from endcap.reports import Report  # noqa: E402

FORMS = {
    "fp32", "fp32_fused", "int8_dynamic", "int8_rowwise", "int8_static", "student1_fp32", "student1_int8",
    "int8_pruned", "int8_16", "student1_int8_pruned_16",
}  # fmt: skip


def test_every_form_has_a_row_and_the_losses_their_goals(trained, shop_folder, tmp_path, monkeypatch):
    monkeypatch.setattr(compression, "WIDTHS", (16, 64))
    arguments = ["--encoder", trained.path, "--data", shop_folder, "--layers", 1, "--runs", 20,
                 "--work", tmp_path / "work", "--output", tmp_path]  # fmt: skip
    result = CliRunner().invoke(app, ["bench", "compression", *map(str, arguments)])
    assert result.exit_code == 0, result.output
    report = Report.read(tmp_path / "compression.json")
    assert set(report.figures) >= FORMS
    for name in FORMS:
        row = report.figures[name]
        assert row.unit == "ms"
        assert row.low <= row.value <= row.high
        assert {"f1", "ndcg10", "mb", "bytes_a_product"} == set(row.baselines)
    losses = {f"{name}_{kind}_loss" for name in ("int8", "student1") for kind in ("f1", "ndcg")}
    assert set(report.figures) == FORMS | losses | {"int8_speedup_onnx", "student1_speedup"}
    fp32, int8 = (report.figures[name].baselines for name in ("fp32", "int8_static"))
    assert report.figures["int8_f1_loss"].value == pytest.approx(fp32["f1"] - int8["f1"], abs=2e-4)
    assert report.figures["int8_f1_loss"].goal == "<= 0.005"
    assert report.figures["student1_ndcg_loss"].goal == "<= 0.02"
    assert report.figures["int8_16"].baselines["bytes_a_product"] == 64
    assert "layers 1 of the teacher" in report.notes
    assert (tmp_path / "compression.png").stat().st_size > 10_000
    assert json.loads((tmp_path / "work" / "student1" / "endcap.json").read_text())["distillation"]
