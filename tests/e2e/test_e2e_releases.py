"""A new release under load, and the way back."""

import json
import threading

import pytest
from asking import Raw
from endcap_client import Client
from endcap_export.registry import register, rollback
from tiny import tiny_products, tiny_release

from endcap.launcher import Server


@pytest.fixture(scope="module")
def moving(tmp_path_factory):
    """A server of its own, and two releases: the second has other products and another encoder."""
    folder = tmp_path_factory.mktemp("moving")
    first = tiny_release(folder / "made", tiny_products(120))
    second = tiny_release(folder / "made", tiny_products(200, seed=8), seed=9)
    register(first.path, folder / "repository", precision="fp32")
    with Server.start(folder / "repository") as server:
        yield server, folder / "repository", first, second


def test_register_and_rollback_without_a_failed_request(moving):
    server, repository, first, second = moving
    failures, releases, stop = [], [], threading.Event()

    def keep_asking():
        with Client(server.grpc_url, timeout=20) as shop:
            while not stop.is_set():
                try:
                    result = shop.search("red dress", k=5)
                    releases.append(result.release)
                    if len(result) != 5:
                        failures.append(result)
                except Exception as error:
                    failures.append(error)

    threads = [threading.Thread(target=keep_asking) for _ in range(2)]
    for thread in threads:
        thread.start()
    try:
        assert register(second.path, repository, precision="fp32", server=server.grpc_url) == 2
        with Client(server.grpc_url) as shop:
            assert shop.search("red dress").release == second.id
        assert rollback(repository, server=server.grpc_url) == 3
        with Client(server.grpc_url) as shop:
            assert shop.search("red dress").release == first.id
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert failures == []
    assert {first.id, second.id} == set(releases)


def test_products_are_encoded_by_the_encoder_of_the_running_version(moving):
    """After a change of version the catalogue must ask for its own encoder, not for one that is gone."""
    import tritonclient.grpc

    raw = Raw(tritonclient.grpc, moving[0].grpc_url)
    raw.infer("catalog", operation="upsert", document=json.dumps({"id": "late", "title": "late accordion"}))
    assert raw.search("late accordion", diversity=0)[0][0] == "late"
    raw.client.close()
