"""The example back ends against a real tritonserver, and without one."""

import importlib.util
import json
import sys
import uuid
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"
pytestmark = pytest.mark.filterwarnings("ignore")


def load(file, name):
    spec = importlib.util.spec_from_file_location(name, EXAMPLES / file)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


class FastApi:
    """The FastAPI example through its test client."""

    def __enter__(self):
        from fastapi.testclient import TestClient

        self._client = TestClient(load("fastapi_shop/app.py", "example_fastapi").app)
        self._client.__enter__()
        return self

    def get(self, url, **query):
        answer = self._client.get(url, params=query)
        return answer.status_code, answer.json()

    def post(self, url, document):
        answer = self._client.post(url, json=document)
        return answer.status_code, answer.json()

    def __exit__(self, *failure):
        self._client.__exit__(*failure)


class Django:
    """The Django example through its test client."""

    def __enter__(self):
        self._module = load("django_shop/shop.py", "example_django")
        # Django looks its routes up by the name that the settings were made with.
        from django.test import Client
        from django.urls import clear_url_caches

        clear_url_caches()
        self._client = Client()
        return self

    def get(self, url, **query):
        answer = self._client.get(url, query)
        return answer.status_code, json.loads(answer.content)

    def post(self, url, document):
        answer = self._client.post(url, json.dumps(document), content_type="application/json")
        return answer.status_code, json.loads(answer.content)

    def __exit__(self, *failure):
        self._module.shop().close()


@pytest.fixture(params=["fastapi", "django"])
def back_end(request, monkeypatch):
    """``back_end(url)`` starts an example that asks the server at this address."""
    pytest.importorskip(request.param, reason="needs the extra `examples`")
    if request.param == "fastapi":
        pytest.importorskip("httpx", reason="FastAPI's test client needs httpx")

    def make(url):
        monkeypatch.setenv("ENDCAP_URL", url)
        monkeypatch.setenv("ENDCAP_TIMEOUT", "20")
        return FastApi() if request.param == "fastapi" else Django()

    return make


def test_a_shop_searches_and_its_events_are_stored(back_end, server, repository):
    from endcap_rerank.events import EVENTS_FILE
    from endcap_rerank.events.sqlite import SqliteEventStore

    user = f"example-{uuid.uuid4().hex}"
    with back_end(server.grpc_url) as shop:
        assert shop.get("/health") == (200, {"search": True})
        status, found = shop.get("/search", q="red tent", user=user)
        assert (status, found["degraded"]) == (200, False)
        assert {"id", "title", "price"} <= set(found["items"][0])
        assert shop.post("/events", {"user": user, "item": found["items"][0]["id"]})[0] == 202
        assert shop.post("/events", {"user": user})[0] == 422
        assert shop.get("/search", q=" ")[0] == 422
    stored = SqliteEventStore(repository / "state" / EVENTS_FILE)
    assert [event.item for event in stored.of_user(user, 10)] == [found["items"][0]["id"]]


def test_a_shop_stays_up_without_endcap(back_end):
    with back_end("127.0.0.1:9") as shop:
        assert shop.get("/health") == (200, {"search": False})
        assert shop.get("/search", q="red tent") == (200, {"items": [], "degraded": True})
