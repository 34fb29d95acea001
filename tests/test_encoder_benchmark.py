"""The benchmark of the encoder: what it compares and what it writes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

pytest.importorskip("torch")
pytestmark = pytest.mark.train

from endcap_export.build import build  # noqa: E402
from endcap_export.train import TrainingSettings  # noqa: E402

from benchmarks.encoder import ROUND, in_turns, speedup  # noqa: E402
from endcap.cli import app  # noqa: E402
from endcap.demo_shop import generate  # noqa: E402
from endcap.reports import Report  # noqa: E402


def test_every_form_encodes_every_query_once_and_warm():
    calls: dict[str, list[int]] = {"a": [], "b": []}

    class Query:
        def __init__(self, number):
            self.input_ids, self.attention_mask = number, None

    forms = [lambda ids, _, name=name: calls[name].append(ids) for name in calls]
    told = []
    taken = in_turns(forms, [Query(number) for number in range(ROUND + 5)], lambda *done: told.append(done))
    assert taken.shape == (2, ROUND + 5)
    assert np.all(taken > 0)
    first = [0, 1, 2, *range(ROUND)]
    assert calls["a"] == calls["b"] == [*first, *(ROUND + place for place in (0, 1, 2, *range(5)))]
    assert told == [(ROUND, ROUND + 5), (ROUND + 5, ROUND + 5)]


def test_a_speed_up_is_the_ratio_of_medians_with_an_interval():
    fast = np.linspace(1, 1.2, 101)
    figure = speedup(3 * fast, fast, ">= 2.5", {})
    assert figure.value == pytest.approx(3)
    assert (figure.low, figure.high) == pytest.approx((3, 3))
    assert figure.met


def test_the_report_of_a_release(tmp_path):
    shop = tmp_path / "shop"
    generate(shop, products=60, shoppers=5)
    settings = TrainingSettings(max_steps=1, batch_size=4)
    build(shop, tmp_path / "repository", base="minilm", settings=settings)
    arguments = [
        "--repository",
        tmp_path / "repository",
        "--queries",
        shop,
        "--runs",
        40,
        "--output",
        tmp_path,
    ]
    result = CliRunner().invoke(app, ["bench", "encoder", *map(str, arguments)])
    assert result.exit_code == 0, result.output
    report = Report.read(Path(tmp_path / "encoder.json"))
    assert {"int8_speedup_onnx", "int8_speedup_torch", "onnx_parity_max_abs"} <= set(report.figures)
    assert report.figures["onnx_parity_max_abs"].value <= 1e-4
    assert report.figures["int8_padded_cosine"].value >= 0.9999
    assert set(report.figures["int8_speedup_torch"].baselines) == {"int8_ms", "fp32_ms", "pytorch_ms"}
    assert "int8 by static" in report.notes
    assert "minilm with a fresh tag head" in report.notes
