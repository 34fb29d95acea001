"""The compose files, read by the real Docker Compose; it needs no engine for that."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
COMPOSE = ROOT / "deploy" / "compose"
FILES = {"cpu": ["compose.yaml"], "gpu": ["compose.yaml", "compose.gpu.yaml"]}


def program():
    found = shutil.which("docker-compose", path=str(Path(sys.executable).parent)) or shutil.which(
        "docker-compose"
    )
    if found is None:
        pytest.skip("docker-compose comes with endcap[deploy]")
    return found


def read(files):
    command = [program(), *(part for name in files for part in ("-f", str(name)))]
    shown = subprocess.run(
        [*command, "config", "--format", "json"], capture_output=True, text=True, check=False
    )
    assert shown.returncode == 0, shown.stderr
    return json.loads(shown.stdout)


@pytest.fixture(scope="module", params=FILES)
def project(request):
    return read([COMPOSE / name for name in FILES[request.param]])


def test_compose_finds_a_misspelled_field(tmp_path):
    file = tmp_path / "compose.yaml"
    file.write_text((COMPOSE / "compose.yaml").read_text("utf-8").replace("shm_size:", "shmsize:"))
    shown = subprocess.run([program(), "-f", str(file), "config", "-q"], capture_output=True, check=False)
    assert shown.returncode != 0


def test_every_part_is_there_and_restricted(project):
    services = project["services"]
    assert set(services) == {"triton", "envoy", "valkey", "prometheus", "grafana"}
    for name, service in services.items():
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert re.search(r":v?\d[\w.-]*$", service["image"]), service["image"]
        assert service.get("read_only") or name == "grafana"
    triton = services["triton"]
    assert any(mount["target"] == "/repository" and mount["read_only"] for mount in triton["volumes"])
    assert int(triton["shm_size"]) == 1 << 30
    assert triton["tmpfs"] == ["/tmp:exec,mode=1777"]


def test_only_envoy_is_open_to_other_machines(project):
    for name, service in project["services"].items():
        for port in service.get("ports", []):
            assert name == "envoy" or port.get("host_ip") == "127.0.0.1", name


def test_files_that_are_mounted_exist(project):
    made = {"keys", "tls"}  # by the operator, see docs/deployment.md
    for service in project["services"].values():
        for mount in service.get("volumes", []):
            source = Path(mount["source"])
            if mount["type"] == "bind" and source.is_relative_to(ROOT / "deploy"):
                assert source.name in made or source.exists(), source
    triton = project["services"]["triton"]
    assert (Path(triton["build"]["context"]) / triton["build"]["dockerfile"]).is_file()


def test_both_deployments_run_the_same_versions(project):
    texts = [file.read_text("utf-8") for file in (ROOT / "deploy").rglob("*.yaml")]
    images = {image for text in texts for image in re.findall(r"image: (docker\.io/\S+)", text)}
    names = [image.rpartition(":")[0] for image in images]
    assert len(names) == len(set(names)), images


def test_prometheus_scrapes_what_compose_starts(project):
    config = yaml.safe_load((ROOT / "deploy" / "prometheus" / "prometheus.yml").read_text("utf-8"))
    for job in config["scrape_configs"]:
        for target in job["static_configs"][0]["targets"]:
            assert target.partition(":")[0] in project["services"]
