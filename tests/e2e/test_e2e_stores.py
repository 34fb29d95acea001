"""A real tritonserver whose events are in a real Redis, with hashed ids."""

import json
import time

import pytest
import tritonclient.grpc as grpc
from asking import Raw
from redis_server import RedisServer
from tritonclient.utils import InferenceServerException
from typer.testing import CliRunner

from endcap.cli import app
from endcap.launcher import Server

NOTE = "The store of events cannot be read; the answer is not fitted to the shopper."


def notes(raw, user):
    info = json.loads(raw.infer("search", query="drill", user=user, k=5)["query_info"][0, 0])
    return info["personalized"], info["notes"]


@pytest.fixture(scope="module")
def shop(repository, tmp_path_factory):
    """(server, Redis), with a key for users' ids."""
    folder = tmp_path_factory.mktemp("stores")
    (folder / "key").write_text("a secret of more than sixteen bytes")
    (folder / "redis").mkdir()
    redis = RedisServer(folder / "redis")
    environment = {
        "ENDCAP_EVENTS": redis.url,
        "ENDCAP_USER_KEY_FILE": str(folder / "key"),
    }
    with pytest.MonkeyPatch.context() as patch:
        for name, value in environment.items():
            patch.setenv(name, value)
        try:
            with Server.start(repository, state=folder / "state") as server:
                yield server, redis
        finally:
            redis.kill()


def test_feedback_reaches_every_model_and_no_id_is_stored(shop):
    server, redis = shop
    raw = Raw(grpc, server.grpc_url)
    item = raw.search("drill", k=1)[0][0]
    assert notes(raw, "planted-shopper-4711")[0] is False
    raw.infer("feedback", user="planted-shopper-4711", item=item, event="purchase")
    assert notes(raw, "planted-shopper-4711") == (True, [])
    files = [file for file in redis.folder.rglob("*") if file.is_file()]
    assert any(item.encode() in file.read_bytes() for file in files)
    assert not [file for file in files if b"planted-shopper-4711" in file.read_bytes()]


def test_forget_is_known_to_the_running_server_at_once(shop):
    server, _ = shop
    raw = Raw(grpc, server.grpc_url)
    item = raw.search("drill", k=1)[0][0]
    for event in ("view", "cart"):
        raw.infer("feedback", user="one to forget", item=item, event=event)
    assert notes(raw, "one to forget")[0] is True
    result = CliRunner().invoke(app, ["forget", "one to forget"])
    assert "2 events were deleted" in result.output
    assert notes(raw, "one to forget")[0] is False


def test_answers_go_on_while_redis_is_down_and_feedback_does_not(shop):
    server, redis = shop
    raw = Raw(grpc, server.grpc_url)
    item = raw.search("drill", k=1)[0][0]
    raw.infer("feedback", user="steady", item=item, event="purchase")
    redis.kill()
    personalized, told = notes(raw, "steady")
    assert not personalized
    assert NOTE in told
    assert len(raw.search("drill", user="steady", k=5)[0]) == 5
    with pytest.raises(InferenceServerException, match="could not be written") as caught:
        raw.infer("feedback", user="steady", item=item, event="view")
    assert "UNAVAILABLE" in str(caught.value)
    redis.start()
    deadline = time.monotonic() + 10
    while NOTE in notes(raw, "steady")[1]:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert notes(raw, "steady") == (True, [])
