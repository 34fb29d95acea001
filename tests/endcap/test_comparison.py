import pytest
from endcap_rerank.errors import InvalidInputError
from typer.testing import CliRunner

from endcap.cli import app
from endcap.comparison import compare
from endcap.reports import Figure, Report


def verdicts(before, after, **keywords):
    changes = compare([Report("load", before)], [Report("load", after)], **keywords)
    return {change.name: change.verdict for change in changes}


def test_a_difference_within_the_intervals_is_no_change():
    before = {"p99_ms": Figure(20.0, "ms", 16.0, 24.0)}
    assert verdicts(before, {"p99_ms": Figure(24.0, "ms", 20.0, 28.0)}) == {"p99_ms": ""}
    assert verdicts(before, {"p99_ms": Figure(26.0, "ms", 22.0, 30.0)}) == {"p99_ms": "worse"}
    assert verdicts(before, {"p99_ms": Figure(14.0, "ms", 10.0, 18.0)}) == {"p99_ms": "better"}


@pytest.mark.parametrize(
    ("figure", "higher", "lower"),
    [
        (Figure(1.0, "ms"), "worse", "better"),
        (Figure(1.0, "1/s"), "better", "worse"),
        (Figure(1.0, goal=">= 0.9"), "better", "worse"),
        (Figure(1.0, goal="<= 2"), "worse", "better"),
        (Figure(1.0, goal="= 0"), "worse", "better"),
        (Figure(1.0), "changed", "changed"),
    ],
)
def test_goal_and_unit_say_what_is_better(figure, higher, lower):
    def at(value):
        return {"f": Figure(value, figure.unit, goal=figure.goal)}

    assert verdicts(at(1.0), at(1.04))["f"] == ""
    assert verdicts(at(1.0), at(1.2))["f"] == higher
    assert verdicts(at(1.0), at(0.8))["f"] == lower
    assert verdicts(at(1.0), at(1.04), tolerance=0.01)["f"] == higher


def test_a_first_error_is_worse_however_small():
    assert (
        verdicts({"errors": Figure(0.0, goal="= 0")}, {"errors": Figure(1.0, goal="= 0")})["errors"]
        == "worse"
    )


def test_several_runs_tell_their_own_noise():
    def runs(*values):
        return [Report("load", {"p99_ms": Figure(value, "ms")}) for value in values]

    assert compare(runs(10, 20, 15), runs(16, 24, 18))[0].verdict == ""
    change = compare(runs(10, 10.2, 9.8), runs(12, 12.2, 11.8))[0]
    assert change.verdict == "worse"
    assert change.relative == pytest.approx(0.2)
    # Student's t with 2 degrees of freedom, both sides.
    assert change.noise == pytest.approx(2**0.5 * 4.303 * 0.2 / 3**0.5)


def test_reports_of_different_benchmarks_are_not_compared():
    with pytest.raises(InvalidInputError, match="same benchmark, load"):
        compare([Report("load", {"a": Figure(1.0)})], [Report("soak", {"a": Figure(1.0)})])
    with pytest.raises(InvalidInputError, match="both sides"):
        verdicts({"a": Figure(1.0)}, {"b": Figure(1.0)})


def command(*arguments):
    return CliRunner().invoke(app, ["bench", "compare", *map(str, arguments)])


def test_the_command_fails_when_something_got_worse(tmp_path):
    for name, values in {"old": (10.0, 10.1), "new": (13.0, 13.1)}.items():
        for number, value in enumerate(values):
            file = Report("load", {"p99_ms": Figure(value, "ms"), "rps": Figure(9.0, "1/s")}).write(
                tmp_path / name
            )
            file.rename(file.with_name(f"load-{number}.json"))
    done = command(tmp_path / "old", tmp_path / "new")
    assert done.exit_code == 1
    assert "p99_ms" in done.output
    assert "rps" not in done.output
    assert "1 worse" in done.output
    same = command(tmp_path / "old", tmp_path / "old", "--all")
    assert same.exit_code == 0
    assert "rps" in same.output
    mixed = Report("soak", {"errors": Figure(0.0)}).write(tmp_path / "new")
    assert command(tmp_path / "old", mixed.parent).exit_code == 1
