"""A real tritonserver starts, says why it does not, and stops without leaving anything."""

import os
import resource
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from endcap_rerank.errors import InvalidInputError
from processes import alive, children_of, name_of, wait_until

from endcap.launcher import Launch, Server, TritonError, free_ports
from endcap.triton.command import memory_limit


def regions(pid):
    """Shared memory that servers started by a process left or use."""
    return sorted(path.name for path in Path("/dev/shm").glob(f"endcap_{pid}_*"))


@pytest.fixture
def own_repository(tmp_path, repository):
    """A copy of the session's repository that a test may damage."""
    shutil.copytree(repository / "releases", tmp_path / "releases")
    shutil.copytree((repository / "models").resolve(), tmp_path / "models")
    return tmp_path


def test_server_starts_and_stops_without_leaving_anything(repository):
    before = set(regions(os.getpid()))
    stages = []
    with Server.start(repository, report=lambda seconds, loaded: stages.append(len(loaded))) as server:
        processes = children_of(server.pid)
        assert server.ready()
        assert len(processes) >= 7
        for pid in (server.pid, *processes):
            assert resource.prlimit(pid, resource.RLIMIT_DATA)[0] == memory_limit()
        assert set(regions(os.getpid())) > before
        assert stages == sorted(stages)
        folder = server._files.folder
    assert not alive(server.pid)
    assert not any(map(alive, processes))
    assert set(regions(os.getpid())) == before
    assert not folder.exists()
    assert server.stop() is not None


def test_killed_server_leaves_nothing_after_stop(repository):
    server = Server.start(repository)
    processes = children_of(server.pid)
    os.kill(server.pid, signal.SIGKILL)
    assert server.stop() == -signal.SIGKILL
    wait_until(lambda: not any(map(alive, processes)))
    assert not any(name.startswith(server._files.shm_prefix) for name in regions(os.getpid()))


def test_second_server_on_given_ports_without_a_cache(server, repository, tmp_path):
    http_port, grpc_port, metrics_port = free_ports("127.0.0.1", 3)
    with Server.start(
        repository,
        state=tmp_path,
        http_port=http_port,
        grpc_port=grpc_port,
        metrics_port=metrics_port,
        cache_mib=0,
    ) as other:
        assert other.ready()
        assert (other.http_url, other.grpc_url) == (f"127.0.0.1:{http_port}", f"127.0.0.1:{grpc_port}")
        assert f":{metrics_port}/" in other.metrics_url
    assert server.ready()


def test_model_that_fails_to_load_is_shown_in_tritons_words(own_repository):
    model = own_repository / "models" / "rerank" / "1" / "model.py"
    model.write_text(model.read_text() + "\nraise RuntimeError('the shelf is empty')\n")
    with pytest.raises(TritonError, match="the shelf is empty") as caught:
        Server.start(own_repository)
    assert "ended with status 1" in str(caught.value)
    assert "failed to load" in str(caught.value)
    assert "NVML" not in str(caught.value)


def test_dims_that_do_not_fit_the_encoder_are_shown(own_repository):
    config = own_repository / "models" / "encode" / "config.pbtxt"
    config.write_text(config.read_text().replace("dims: 48", "dims: 47"))
    with pytest.raises(TritonError, match="fixed dimensions must be equal"):
        Server.start(own_repository)


def test_release_that_is_gone_is_shown(own_repository):
    shutil.rmtree(own_repository / "releases")
    with pytest.raises(TritonError, match=r"no manifest\.json"):
        Server.start(own_repository)


def test_folder_without_models_is_refused(tmp_path):
    with pytest.raises(InvalidInputError, match="repository: got"):
        Server.start(tmp_path)


def test_taken_port_is_refused_by_name(repository):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(InvalidInputError, match="grpc_port: got"):
            Server.start(repository, grpc_port=taken.getsockname()[1])


@pytest.mark.parametrize(
    "settings", [{"http_port": 70_000}, {"http_port": 9000, "grpc_port": 9000}, {"cache_mib": -1}]
)
def test_impossible_settings_are_refused(repository, settings):
    with pytest.raises(InvalidInputError, match="got"):
        Launch(repository, **settings).validate()


# The command ---------------------------------------------------------------------------------------


def endcap(*arguments, **settings):
    return subprocess.Popen(
        [sys.executable, "-m", "endcap", *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **settings,
    )


def wait_for_ready(process):
    line = process.stdout.readline()
    assert line.startswith("ready: gRPC "), (line, process.poll() is not None and process.stderr.read())
    return line.split()[2].rstrip(",")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signal_stops_the_command_cleanly(repository, number):
    process = endcap("serve", "--repository", repository)
    wait_for_ready(process)
    processes = children_of(process.pid)
    assert "tritonserver" in map(name_of, processes)
    process.send_signal(number)
    output, _ = process.communicate(timeout=40)
    assert process.returncode == 0
    assert output.rstrip().endswith("stopped")
    assert not any(map(alive, processes))
    assert regions(process.pid) == []


def test_signal_during_the_start_ends_it(repository):
    process = endcap("serve", "--repository", repository)
    wait_until(lambda: "tritonserver" in map(name_of, children_of(process.pid)))
    processes = children_of(process.pid)
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=40)
    assert process.returncode != 0
    wait_until(lambda: not any(map(alive, processes)))
    assert regions(process.pid) == []


def test_server_ends_with_a_killed_parent(repository):
    process = endcap("serve", "--repository", repository)
    wait_for_ready(process)
    processes = children_of(process.pid)
    process.kill()
    process.communicate()
    wait_until(lambda: not any(map(alive, processes)))
    assert regions(process.pid) == []


def test_command_shows_tritons_error_and_fails(own_repository):
    model = own_repository / "models" / "rerank" / "1" / "model.py"
    model.write_text(model.read_text() + "\nraise RuntimeError('the shelf is empty')\n")
    process = endcap("serve", "--repository", own_repository)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "the shelf is empty" in said


def test_command_notices_a_server_that_ends_by_itself(repository):
    process = endcap("serve", "--repository", repository)
    wait_for_ready(process)
    triton = next(pid for pid in children_of(process.pid) if name_of(pid) == "tritonserver")
    os.kill(triton, signal.SIGKILL)
    _, said = process.communicate(timeout=40)
    assert process.returncode == 1
    assert "ended by itself" in said
    assert regions(process.pid) == []


def test_search_command_prints_products(server):
    process = endcap("search", "red cotton dress", "--server", server.grpc_url, "-k", "3", "--explain")
    output, said = process.communicate(timeout=60)
    assert process.returncode == 0, said
    assert "3 products" in output
    assert "dress" in output


def test_search_command_names_what_is_wrong(server):
    process = endcap("search", "dress", "--server", server.grpc_url, "-k", "0")
    _, said = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "k: got 0" in said
    assert "Traceback" not in said
