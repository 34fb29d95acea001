import json

import pytest
from endcap_export.data import EVENT_COLUMNS, read_events
from endcap_export.registry import STATE
from endcap_rerank.events import EVENTS_FILE, Event, RedisEventStore, SqliteEventStore
from redis_server import RedisServer
from typer.testing import CliRunner

from endcap.cli import app

PLANTED = "planted-shopper-4711"
EVENTS = [
    Event.validated("007", "a", "view", 1_700_000_000.25, query='红 "x",\ny', position=0, event_id="e1"),
    Event.validated(PLANTED, "b", "purchase", 1_700_000_001.0, event_id="e2"),
    Event.validated(PLANTED, "a", "click", 1_700_000_002.0, position=7, event_id="e3"),
]


@pytest.fixture
def repository(tmp_path):
    folder = tmp_path / "repository"
    store = SqliteEventStore(folder / STATE / EVENTS_FILE)
    store.append(EVENTS)
    store.close()
    return folder


def run(*arguments, status=0, env=None):
    result = CliRunner().invoke(app, [str(argument) for argument in arguments], env=env)
    assert result.exit_code == status, result.output
    return result.output


def of(repository, user):
    return SqliteEventStore(repository / STATE / EVENTS_FILE).of_user(user, 100)


def test_forget_says_how_many_and_leaves_no_trace(repository):
    assert "2 events were deleted" in run("forget", PLANTED, "--repository", repository)
    assert "0 events were deleted" in run("forget", f" {PLANTED} ", "-r", repository)
    assert not [
        file for file in repository.rglob("*") if file.is_file() and PLANTED.encode() in file.read_bytes()
    ]
    assert len(of(repository, "007")) == 1


@pytest.mark.parametrize("command", [("forget", "u"), ("events", "export", "x.csv"), ("events", "prune")])
def test_no_store_is_an_error_and_makes_none(tmp_path, command):
    output = run(*command, "--repository", tmp_path / "nothing", status=1)
    assert EVENTS_FILE in output.replace("\n", "")
    assert not (tmp_path / "nothing").exists()


@pytest.mark.parametrize("name", ["log.csv", "of/log.jsonl", "log.parquet"])
def test_an_export_is_what_a_build_reads(repository, tmp_path, name):
    assert "3 events" in run("events", "export", tmp_path / name, "-r", repository)
    loaded = read_events(tmp_path / name)
    assert list(loaded.rows) == EVENTS
    assert not loaded.bad
    assert (tmp_path / name).stat().st_mode & 0o077 == 0
    assert not list((tmp_path / name).parent.glob(".*"))


def test_an_export_names_the_columns_of_the_docs(repository, tmp_path):
    run("events", "export", tmp_path / "log.csv", "-r", repository)
    assert (tmp_path / "log.csv").read_text("utf-8").splitlines()[0].split(",") == list(EVENT_COLUMNS)


def test_an_export_of_another_kind_is_refused(repository, tmp_path):
    assert ".jsonl" in run("events", "export", tmp_path / "log.txt", "-r", repository, status=1)
    assert not (tmp_path / "log.txt").exists()


def test_import_moves_a_log_to_another_store(repository, tmp_path):
    server = RedisServer(tmp_path)
    try:
        run("events", "export", tmp_path / "log.jsonl", "-r", repository)
        moved = ("events", "import", tmp_path / "log.jsonl", "--events", server.url)
        assert "3 of 3" in run(*moved)
        assert "0 of 3" in run(*moved)
        assert list(RedisEventStore(server.url).every()) == EVENTS
        assert "2 events were deleted" in run("forget", PLANTED, env={"ENDCAP_EVENTS": server.url})
        assert RedisEventStore(server.url).of_user(PLANTED, 5) == []
        assert len(of(repository, PLANTED)) == 2
    finally:
        server.kill()


def test_an_import_tells_of_rows_that_cannot_be_used(tmp_path):
    rows = [{"user_id": f"u{n}", "item_id": "a", "event": "view", "timestamp": n} for n in range(300)]
    rows[7]["event"] = "dance"
    (tmp_path / "log.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    output = run("events", "import", tmp_path / "log.jsonl", "-r", tmp_path / "new")
    assert "log.jsonl:8" in output
    assert "299 of 299" in output


def test_a_raw_log_is_hashed_by_way_of_a_file(repository, tmp_path):
    (tmp_path / "key").write_text("a secret of more than sixteen bytes")
    env = {"ENDCAP_USER_KEY_FILE": str(tmp_path / "key")}
    run("events", "export", tmp_path / "log.csv", "-r", repository, env=env)
    assert PLANTED not in (tmp_path / "log.csv").read_text("utf-8")
    run("events", "import", tmp_path / "log.csv", "-r", tmp_path / "new", env=env)
    assert of(tmp_path / "new", PLANTED) == []
    output = run("forget", PLANTED, "-r", tmp_path / "new", env=env)
    assert "2 events were deleted" in output
    assert "secret" not in output


def test_prune_by_option_and_by_environment(repository):
    assert "0 events" in run("events", "prune", "-r", repository)
    assert "1 events" in run("events", "prune", "-r", repository, "--keep-events", 1)
    assert [event.item for event in of(repository, PLANTED)] == ["a"]
    assert "2 events" in run("events", "prune", "-r", repository, env={"ENDCAP_KEEP_DAYS": "1"})
    assert of(repository, PLANTED) == []


def test_a_wrong_url_is_told_without_its_password():
    output = run("forget", "u", "--events", "redis://:secret-word@/0", status=1)
    assert "secret-word" not in output
