"""`endcap monitor` on a log and on a store: tables, JSON, a textfile; no query and no shopper in them."""

import json

import pytest
from endcap_export.event_log import write_events
from endcap_rerank.events import EVENTS_FILE, SqliteEventStore
from typer.testing import CliRunner
from watched import rng, traffic

from endcap.cli import app


def run(*arguments):
    return CliRunner().invoke(app, ["monitor", *map(str, arguments)], env={"COLUMNS": "160"})


@pytest.fixture(scope="module")
def events():
    return traffic(rng(1), shoppers=60, days=3, release=lambda user: f"r{int(user[1:]) % 2}")


@pytest.fixture(scope="module")
def log(tmp_path_factory, events):
    file = tmp_path_factory.mktemp("log") / "events.parquet"
    write_events(file, events)
    return file


def test_a_log_and_a_store_say_the_same(tmp_path, log, events):
    store = SqliteEventStore(tmp_path / EVENTS_FILE)
    store.import_events(events)
    store.close()
    written = []
    for number, source in enumerate(((log,), ("--state", tmp_path))):
        file = tmp_path / f"{number}.json"
        ran = run(*source, "--since", "1d", "--baseline", "2d", "--json", file)
        assert ran.exit_code == 0, ran.output
        written.append(json.loads(file.read_text()))
        assert "click-through" in ran.output
        assert "query 1" not in ran.output + file.read_text()
        assert '"u1' not in file.read_text()
    assert written[0] == written[1]
    assert written[0]["drifts"]["lengths"]["verdict"] == "stable"
    assert set(written[0]["releases"]) == {"r0", "r1"}


def test_two_releases_are_compared_and_the_textfile_is_written(tmp_path, log):
    ran = run(log, "--ab", "r0", "r1", "--interleaved", "r0", "r1", "--prometheus", tmp_path / "endcap.prom")
    assert ran.exit_code == 0, ran.output
    assert "r1 - r0" in ran.output
    assert "0 ties" in ran.output
    assert 'endcap_monitor_lists{release="r0"}' in (tmp_path / "endcap.prom").read_text()


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (("--since", "a day"), "since"),
        (("--page", "x.prom"), "page"),
        (("--prometheus", "x.txt"), "prometheus"),
    ],
)
def test_what_cannot_be_used_is_named(log, arguments, named):
    ran = run(log, *arguments)
    assert ran.exit_code == 1
    assert f"error: {named}: got" in ran.output
