"""`endcap serve --supervise`: what dies is started again; what cannot start is given up."""

import os
import shutil
import signal
import subprocess
import sys
from itertools import count

import pytest
from endcap_client import Client, EndcapError, Event
from processes import alive, children_of, name_of, wait_until

from endcap.supervisor import PAUSES, Supervisor
from endcap.triton.installation import TritonError
from endcap.triton.stubs import stubs_of


def serve(repository, *options):
    process = subprocess.Popen(
        [sys.executable, "-m", "endcap", "serve", "--supervise", "--repository", str(repository), *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    line = process.stdout.readline()
    assert line.startswith("ready: gRPC "), (line, process.poll() is not None and process.stderr.read())
    return process, line.split()[2].rstrip(",")


def triton_of(process):
    return next((pid for pid in children_of(process.pid) if name_of(pid) == "tritonserver"), None)


def test_killed_server_and_killed_stub_come_back_on_the_same_port(repository, shop_products, tmp_path):
    process, url = serve(repository, "--state", str(tmp_path))
    try:
        with Client(url, timeout=5) as shop:

            def answers():
                try:
                    return len(shop.search("red dress", k=3)) == 3
                except EndcapError:
                    return False

            assert shop.feedback(Event("kept", shop_products[0].id, "click")) == 1
            first = triton_of(process)
            stubs = [stub.pid for stub in stubs_of(first)]
            assert len(stubs) >= 7
            os.kill(first, signal.SIGKILL)
            wait_until(lambda: not any(map(alive, stubs)))
            wait_until(lambda: triton_of(process) not in (None, first) and answers(), 120)
            second = triton_of(process)
            # One of two instances: Triton itself would fail every other search from here on.
            os.kill(next(stub.pid for stub in stubs_of(second) if stub.model == "rerank"), signal.SIGKILL)
            wait_until(lambda: triton_of(process) not in (None, second) and answers(), 120)
            assert all(answers() for _ in range(6))
            assert shop.search("red dress", user="kept", k=3).info["personalized"]
    finally:
        processes = children_of(process.pid)
        process.send_signal(signal.SIGTERM)
        _, said = process.communicate(timeout=40)
    assert process.returncode == 0
    assert "tritonserver ended by itself with status -9; starting it again" in said
    assert "a process of rerank (version 1) has died; starting it again" in said
    assert not any(map(alive, processes))


def test_stubs_end_when_server_and_command_are_killed_at_once(repository, tmp_path):
    process, _ = serve(repository, "--state", str(tmp_path))
    server = triton_of(process)
    stubs = [stub.pid for stub in stubs_of(server)]
    process.kill()
    os.kill(server, signal.SIGKILL)
    process.communicate()
    wait_until(lambda: not any(map(alive, stubs)))


class Failing:
    """A process that ends at once, in the place of a server."""

    log = None
    http_url = "127.0.0.1:9"

    def __init__(self):
        self._process = subprocess.Popen([sys.executable, "-c", ""], start_new_session=True)
        self.pid = self._process.pid
        self._process.wait()
        self.running = False

    def wait(self):
        return 1

    def stop(self, timeout=None):
        return 1


def test_repeated_quick_failures_are_given_up_with_the_reason(monkeypatch):
    monkeypatch.setattr("endcap.supervisor.PAUSES", (0.0, 0.01, 0.02))
    said, starts, cares = [], count(), []

    def start(before, careful):
        next(starts)
        cares.append(careful)
        raise TritonError("the shelf is empty")

    supervisor = Supervisor(Failing(), start, say=said.append, stopping=lambda: False)
    with pytest.raises(TritonError, match=r"given up after 3 failures in a row.*the shelf is empty"):
        supervisor.run()
    assert next(starts) == 2
    assert cares == [True, True]
    assert said[-1].endswith("starting it again in 0.02 s")
    assert list(PAUSES) == sorted(PAUSES)


def test_broken_release_is_refused_and_the_one_before_is_served(tmp_path, shop_release, shop_products):
    from endcap_export.registry import current, register
    from tiny import tiny_release

    first = shop_release
    second = tiny_release(tmp_path / "made", shop_products[:90], seed=9)
    folder = tmp_path / "repository"
    register(first.path, folder, precision="fp32")
    register(second.path, folder, precision="fp32")
    index = next(file for file in (folder / "releases" / second.id / "index").iterdir() if file.is_file())
    content = bytearray(index.read_bytes())
    content[-1] ^= 1
    index.write_bytes(content)
    process, url = serve(folder)
    try:
        with Client(url, timeout=5) as shop:
            assert shop.search("red dress", k=3).release == first.id
    finally:
        process.send_signal(signal.SIGTERM)
        _, said = process.communicate(timeout=40)
    assert f"{first.id} is served instead" in said
    assert index.name in said
    assert (current(folder).release, current(folder).action) == (first.id, "rollback")
    shutil.rmtree(folder / "releases" / first.id / "index")
    process = subprocess.run(
        [sys.executable, "-m", "endcap", "serve", "--repository", str(folder)],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert process.returncode == 1
    assert "is missing" in process.stderr


def test_a_release_that_is_registered_under_the_supervisor_restarts_nothing(
    tmp_path, shop_release, shop_products
):
    from endcap_export.registry import register, rollback
    from tiny import tiny_release

    second = tiny_release(tmp_path / "made", shop_products[:90], seed=9)
    folder = tmp_path / "repository"
    register(shop_release.path, folder, precision="fp32")
    process, url = serve(folder)
    try:
        before = triton_of(process)
        register(second.path, folder, precision="fp32", server=url)
        rollback(folder, server=url)
        with Client(url, timeout=5) as shop:
            assert shop.search("red dress", k=3).release == shop_release.id
        assert triton_of(process) == before
    finally:
        process.send_signal(signal.SIGTERM)
        _, said = process.communicate(timeout=40)
    assert "starting it again" not in said
