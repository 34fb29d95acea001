import json
import subprocess

import pytest
from endcap_rerank.errors import InvalidInputError
from typer.testing import CliRunner

from endcap import reports as module
from endcap.cli import app
from endcap.report_page import number, write_page
from endcap.reports import Figure, Report, read_all

FIGURES = {
    "ratio": Figure(1.4, low=1.3, high=1.5, goal="<= 1.6"),
    "p50_ms": Figure(5.25, "ms", goal="<= 4", baselines={"bare": 5.0}),
}


def test_a_report_has_the_shape_of_the_design(tmp_path):
    file = Report("latency", FIGURES, "how").write(tmp_path)
    document = json.loads(file.read_text())
    assert file.name == "latency.json"
    assert set(document) == {"name", "created", "commit", "machine", "figures", "notes"}
    assert set(document["machine"]) == {"cpu", "cores", "memory_gib"}
    assert document["machine"]["cores"] >= 1
    assert document["created"].endswith("Z")
    assert document["figures"]["ratio"] == {
        "value": 1.4,
        "unit": "",
        "low": 1.3,
        "high": 1.5,
        "goal": "<= 1.6",
        "baselines": {},
    }
    assert "low" not in document["figures"]["p50_ms"]


def test_a_report_is_read_as_it_was_written(tmp_path):
    report = Report("latency", FIGURES, "how")
    assert Report.read(report.write(tmp_path)) == report
    assert [path.name for path in tmp_path.iterdir()] == ["latency.json"]


@pytest.mark.parametrize(
    ("goal", "met"),
    [("<= 4", True), (">= 4", True), ("< 4", False), ("> 3.5", True), ("", None), ("low", None)],
)
def test_goals_are_compared(goal, met):
    assert Figure(4.0, goal=goal).met is met


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_figure_that_is_no_number_is_refused(tmp_path, value):
    with pytest.raises(InvalidInputError, match=r"figures\.x"):
        Report("a", {"x": Figure(value)}).write(tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["", "../up", "A b"])
def test_a_name_that_is_no_file_name_is_refused(tmp_path, name):
    with pytest.raises(InvalidInputError, match="name"):
        Report(name, {}).write(tmp_path)


def test_other_files_beside_reports_are_passed_over(tmp_path):
    Report("b", FIGURES).write(tmp_path)
    Report("a", {}).write(tmp_path)
    (tmp_path / "raw.json").write_text("[1, 2]")
    assert [report.name for report in read_all(tmp_path)] == ["a", "b"]
    assert read_all(tmp_path / "absent") == []


def test_a_damaged_report_is_named(tmp_path):
    (tmp_path / "bad.json").write_text('{"figures": {"x": 1}, "name": "bad"}')
    with pytest.raises(InvalidInputError, match=r"bad\.json"):
        read_all(tmp_path)


def test_the_page_shows_every_figure_and_escapes_text(tmp_path):
    (tmp_path / "latency-load.svg").write_text("<svg/>")
    (tmp_path / "latency.html").write_text("own")
    page = write_page([Report("latency", FIGURES, "<b>notes</b>")], tmp_path).read_text()
    assert "&lt;b&gt;notes" in page
    assert "5.25" in page
    assert "met" in page
    assert "missed" in page
    assert "bare 5" in page
    assert "data:image/svg+xml;base64," in page
    assert 'href="latency.html"' in page
    assert "http://" not in page
    assert "https://" not in page


@pytest.mark.parametrize(
    ("value", "text"),
    [(4.0, "4"), (0.123456, "0.1235"), (54667.0, "54,667"), (1e-7, "1e-07"), (12345.6, "12,346")],
)
def test_numbers_are_written_for_reading(value, text):
    assert number(value) == text


def test_the_commit_is_marked_when_files_differ(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert module.commit() == ""
    run = ["git", "-c", "user.name=t", "-c", "user.email=t@t"]
    (tmp_path / "file").write_text("1")
    for arguments in (["init", "-q"], ["add", "file"], ["commit", "-qm", "one"]):
        subprocess.run([*run, *arguments], check=True)
    clean = module.commit()
    (tmp_path / "file").write_text("2")
    assert module.commit() == f"{clean}+"
    assert len(clean) == 12


def test_the_command_prints_the_table_and_writes_the_page(tmp_path):
    Report("latency", FIGURES).write(tmp_path)
    done = CliRunner().invoke(app, ["report", "--directory", str(tmp_path)])
    assert done.exit_code == 0, done.output
    assert "ratio" in done.output
    assert (tmp_path / "index.html").is_file()
