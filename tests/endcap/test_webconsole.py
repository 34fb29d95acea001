"""The console's app against the session's real server."""

import csv
import json
import re
import time
import uuid
from pathlib import Path

import pytest
from endcap_client import Client
from endcap_rerank.errors import EndcapError, InvalidInputError

from endcap.triton.ports import free_ports

pytest.importorskip("starlette", reason="the console is an extra")
from starlette.testclient import TestClient

from endcap.webconsole.app import STATIC, console_app
from endcap.webconsole.query_log import QueryLog
from endcap.webconsole.setup import ServerAddress, Setup, allowed_hosts, api_key, origin
from endcap.webconsole.shoppers import Shopper, events_file, read_shoppers
from endcap.webconsole.traffic import Look, read_page

HOST = "http://localhost"
KEY = "a-key-that-no-browser-sees"
QUERIES = ("red dress", "red dress", "red tent", "blue tent", "dress", "kettle")


@pytest.fixture(scope="module")
def app(server):
    """The console on the session's server, and on one that is down."""
    nobody = f"127.0.0.1:{free_ports('127.0.0.1', 1)[0]}"
    setup = Setup(
        (
            ServerAddress.of(server.grpc_url, server.metrics_url),
            ServerAddress.of(nobody, f"http://{nobody}/metrics"),
        ),
        QueryLog(QUERIES),
        (Shopper("ada", 3),),
        timeout=20.0,
        api_key=KEY,
        pictures=("https://images.shop.example",),
    )
    with TestClient(console_app(setup), base_url=HOST) as client:
        yield client


def ask(app, *columns):
    answered = app.post("/api/search", json={"columns": list(columns)})
    assert answered.status_code == 200, answered.text
    return answered.json()["columns"]


def test_a_column_is_the_server_s_answer(app, server):
    (column,) = ask(app, {"query": "red steel kettle under $90", "k": 5, "language": "zh"})
    answer = column["answer"]
    with Client(server.grpc_url) as shop:
        direct = shop.search("red steel kettle under $90", k=5, diversity=0.0)
    assert [item["id"] for item in answer["items"]] == direct.ids
    assert answer["release"] == direct.release
    assert {"color", "material", "product_type", "price"} == {tag["kind"] for tag in answer["tags"]}
    first = answer["items"][0]
    assert sum(first["terms"].values()) == pytest.approx(first["score"], abs=1e-4)
    assert first["product"]["title"]
    assert "相关" in first["text"]


def test_two_shoppers_in_one_batch_get_their_own_lists(app, server):
    users = [f"shopper-{uuid.uuid4().hex}" for _ in "ab"]
    with Client(server.grpc_url) as shop:
        for user, brand in zip(users, ("Acme", "Tundra"), strict=True):
            liked = shop.search(brand, k=6, diversity=0.0, filters={"brand": brand}).ids
            shop.feedback([{"user": user, "item": item, "event": "purchase"} for item in liked])
        alone = [shop.search("red", user=user, k=10, diversity=0.0).ids for user in users]
    columns = ask(app, *({"query": "red", "user": user} for user in users))
    assert [[item["id"] for item in column["answer"]["items"]] for column in columns] == alone
    assert alone[0] != alone[1]


def test_without_a_query_there_are_recommendations(app):
    (column,) = ask(app, {"query": "  ", "k": 4, "filters": {"brand": ["Acme"]}})
    assert [item["product"]["brand"] for item in column["answer"]["items"]] == ["Acme"] * 4


def test_one_server_down_leaves_the_other_list(app):
    up, down = ask(app, {"query": "tent"}, {"query": "tent", "server": 1})
    assert up["answer"]["items"]
    assert down["error"]["code"] == "unavailable"


@pytest.mark.parametrize(
    ("column", "field"),
    [
        ({"filters": {"price_min": "abc"}}, "options.filters.price_min"),
        ({"filters": {"price_min": 9, "price_max": 3}}, "options.filters.price_min"),
        ({"caps": {"brand": 0}}, "options.caps.brand"),
        ({"k": 0}, "k"),
        ({"diversity": 2.0}, "diversity"),
        ({"query": "x" * 5000}, "query"),
    ],
)
def test_what_the_server_refuses_names_its_field(app, column, field):
    (answered,) = ask(app, {"query": "tent", **column})
    assert answered["error"]["code"] == "invalid"
    assert answered["error"]["field"] == field


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "columns"),
        ({"columns": [{}] * 3}, "columns"),
        ({"columns": [{"server": 2}]}, "server"),
        ({"columns": [{"query": 7}]}, "query"),
        ({"columns": [{"k": "10"}]}, "k"),
        ({"columns": [{"pin": ["p1"]}]}, "pin"),
        ([], "request"),
    ],
)
def test_what_the_page_would_never_send_is_refused(app, body, field):
    answered = app.post("/api/search", json=body)
    assert answered.status_code == 400
    assert answered.json()["error"]["field"] == field


def test_an_event_changes_the_next_answer_of_its_shopper(app):
    user = f"shopper-{uuid.uuid4().hex}"
    (before,) = ask(app, {"query": "red", "user": user})
    last = before["answer"]["items"][-1]["id"]
    event = {"user": user, "item": last, "event": "purchase", "query": "red", "position": 9}
    event["release"] = before["answer"]["release"]
    assert app.post("/api/feedback", json=event).json() == {"accepted": 1}
    (after,) = ask(app, {"query": "red", "user": user})
    assert [item["id"] for item in after["answer"]["items"]] != [
        item["id"] for item in before["answer"]["items"]
    ]
    assert app.post("/api/feedback", json={**event, "server": 1}).json()["error"]["code"] == "unavailable"
    assert app.post("/api/feedback", json={**event, "user": " "}).json()["error"]["field"] == "user"
    assert app.post("/api/feedback", json={**event, "release": 3}).json()["error"]["field"] == "release"


def test_other_sites_and_other_names_are_refused(app):
    body = json.dumps({"columns": [{"query": "tent"}]})
    form = app.post("/api/search", content=body, headers={"Content-Type": "text/plain"})
    assert form.status_code == 400
    assert form.json()["error"]["field"] == "Content-Type"
    assert app.get("/", headers={"Host": "rebound.example"}).status_code == 400
    long = app.post("/api/search", json={"columns": ["x" * 70_000]})
    assert long.json()["error"]["field"] == "body"
    assert allowed_hosts("0.0.0.0") == ("*",)
    assert "10.1.2.3" in allowed_hosts("10.1.2.3")


def test_the_page_runs_only_its_own_files(app):
    for path in ("/", "/api/setup", "/static/main.js", "/nowhere"):
        policy = app.get(path).headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert "img-src 'self' https://images.shop.example;" in policy
    page = app.get("/").text
    assert not re.search(r"<script(?![^>]*src=)|<style|\sstyle=|\son\w+=|https?://", page)
    for file in STATIC.glob("*.js"):
        assert not re.search(
            r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(", file.read_text()
        )


def test_the_key_stays_in_the_console(app, tmp_path):
    for path in ("/", "/api/setup", "/api/traffic"):
        assert KEY not in app.get(path).text
    assert KEY not in repr(Setup((), api_key=KEY))
    file = tmp_path / "key"
    file.write_text("from-a-file\n")
    assert api_key({"ENDCAP_API_KEY_FILE": str(file)}) == "from-a-file"
    assert api_key({"ENDCAP_API_KEY": "given", "ENDCAP_API_KEY_FILE": str(file)}) == "given"
    assert api_key({}) is None
    with pytest.raises(InvalidInputError, match="ENDCAP_API_KEY_FILE"):
        api_key({"ENDCAP_API_KEY_FILE": str(tmp_path / "none")})


def test_suggestions_go_on_from_what_is_typed(app):
    assert app.get("/api/suggest", params={"q": "red"}).json() == ["red dress", "red tent"]
    assert app.get("/api/suggest", params={"q": "dre"}).json() == ["dress", "red dress"]
    assert app.get("/api/suggest", params={"q": "ten bl"}).json() == ["blue tent"]
    assert app.get("/api/suggest", params={"q": "ettle"}).json() == ["kettle"]
    assert app.get("/api/suggest", params={"q": ""}).json()[0] == "red dress"
    assert app.get("/api/suggest", params={"q": "nothing like it"}).json() == []


def test_a_shop_s_files_are_read(tmp_path):
    with (tmp_path / "queries.csv").open("w", newline="") as stream:
        csv.writer(stream).writerows([("query", "kind"), ("a lamp", "x"), ("a  lamp", "x"), ("lamps", "y")])
    (tmp_path / "events.jsonl").write_text(
        "".join(json.dumps({"user_id": user, "item_id": "p"}) + "\n" for user in ("b", "a", "a"))
    )
    assert QueryLog.read(tmp_path).suggest("") == ["a lamp", "lamps"]
    assert read_shoppers(events_file(tmp_path)) == (Shopper("a", 2), Shopper("b", 1))
    (tmp_path / "log.txt").write_text("one\n\ntwo\n")
    assert len(QueryLog.read(tmp_path / "log.txt")) == 2
    with pytest.raises(EndcapError, match="no such file"):
        QueryLog.read(tmp_path / "none.csv")
    with pytest.raises(EndcapError, match="queries or judgments"):
        QueryLog.read(STATIC)


@pytest.mark.parametrize(
    "wrong", ["images.example", "https://*.example", "https://a.example/x", "data:", "https://a b"]
)
def test_a_picture_s_origin_must_be_one(wrong):
    assert origin("https://Images.example:8443/") == "https://images.example:8443"
    with pytest.raises(InvalidInputError, match="pictures"):
        origin(wrong)


def test_traffic_is_what_the_metrics_page_counts(app, server):
    import urllib.request

    def look(at):
        with urllib.request.urlopen(server.metrics_url) as page:
            return Look(at, read_page(page.read().decode()))

    before = look(0.0)
    ask(app, {"query": f"tent {uuid.uuid4().hex[:6]}"})
    # Triton counts a request a little after its answer is out.
    until = time.monotonic() + 5
    while (after := look(1.0)).since(before, "ok", "search") < 1 and time.monotonic() < until:
        time.sleep(0.05)
    assert after.since(before, "ok", "search") >= 1
    for step in ("tokenize", "encode", "rerank"):
        assert after.mean(before, "us", "ok", step) > 0
    restarted = Look(2.0, {("ok", "search"): 1.0})
    assert restarted.since(after, "ok", "search") == 1.0
    first, second = app.get("/api/traffic").json()
    assert first["error"] is None
    assert "refused" in second["error"]


def words():
    return json.loads((STATIC / "strings.json").read_text("utf-8"))


def test_both_languages_say_everything_the_page_asks_for():
    strings = words()
    assert strings["en"].keys() == strings["zh"].keys()
    for key in strings["en"]:
        holes = [set(re.findall(r"\{(\w+)\}", strings[language][key])) for language in ("en", "zh")]
        assert holes[0] == holes[1], key
    page = (STATIC / "index.html").read_text("utf-8")
    asked = set(re.findall(r'data-(?:text|label|placeholder)="([^"]+)"', page))
    for file in STATIC.glob("*.js"):
        asked |= set(re.findall(r'\btext\("([^"]+)"', file.read_text("utf-8")))
    assert asked <= strings["en"].keys()


def test_every_error_term_and_kind_has_words():
    from endcap_rerank.constraints import LABELS

    from endcap.webconsole.answers import CODES, OTHER

    known = words()["en"].keys()
    assert {f"{word}.{code}" for _, code in CODES for word in ("error", "advice")} <= known
    assert {f"kind.{kind}" for kind in {*LABELS.values(), OTHER}} <= known
    scoring = Path(__file__).parents[2] / "rerank" / "endcap_rerank" / "scoring.py"
    terms = set(re.findall(r'terms\["(\w+)"\] =', scoring.read_text())) | {"relevance"}
    assert {f"term.{term}" for term in terms} <= known
    # Each has a colour too; these three only ever take away.
    groups = (STATIC / "terms.js").read_text("utf-8").split("const GROUPS")[1].split("};")[0]
    assert terms - {"bought", "seen", "stock"} <= set(re.findall(r'"(\w+)"', groups))


def test_the_command_says_what_cannot_be_used(tmp_path):
    from typer.testing import CliRunner

    from endcap.cli import app as command

    for arguments, said in (
        (["--language", "fr"], "language: got 'fr'"),
        (["--queries", str(tmp_path / "none.csv")], "no such file"),
        (["--server", "nowhere"], "host:port"),
        (["--metrics", "localhost:8002"], "metrics: got"),
        (["--pictures", "shop.example"], "pictures: got"),
    ):
        run = CliRunner().invoke(command, ["console", *arguments])
        assert run.exit_code == 1, arguments
        assert said in run.stderr, arguments
