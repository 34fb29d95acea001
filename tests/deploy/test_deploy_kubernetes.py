"""The manifests, rendered by kustomize and held against Kubernetes' and KEDA's own schemas."""

import copy
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

kubernetes_validate = pytest.importorskip("kubernetes_validate", reason="Kubernetes' schemas: endcap[deploy]")

KUBERNETES = Path(__file__).resolve().parents[2] / "deploy" / "kubernetes"
VERSIONS = ("1.29", "1.34")
"""Oldest and newest Kubernetes that the manifests are held against."""
OVERLAYS = ("cpu", "gpu")


def render(folder):
    kubectl = shutil.which("kubectl")
    if kubectl is None:
        pytest.skip("kubectl, which brings kustomize, is not installed")
    shown = subprocess.run([kubectl, "kustomize", str(folder)], capture_output=True, text=True, check=False)
    assert shown.returncode == 0, shown.stderr
    return list(yaml.safe_load_all(shown.stdout))


@pytest.fixture(scope="module")
def rendered():
    folders = {name: KUBERNETES / "overlays" / name for name in OVERLAYS}
    return {name: render(folder) for name, folder in folders.items()} | {
        "tensorrt-build": render(KUBERNETES / "tensorrt-build")
    }


@pytest.fixture(params=OVERLAYS)
def manifests(request, rendered):
    return rendered[request.param]


def one(manifests, kind, name):
    (found,) = (m for m in manifests if m["kind"] == kind and m["metadata"]["name"] == name)
    return found


def pod_templates(manifests):
    jobs = [m["spec"]["jobTemplate"] for m in manifests if m["kind"] == "CronJob"]
    owners = [m for m in manifests if m["kind"] in ("Deployment", "StatefulSet", "Job")]
    return [owner["spec"]["template"] for owner in owners + jobs]


def containers(manifests):
    return [
        container
        for template in pod_templates(manifests)
        for kind in ("initContainers", "containers")
        for container in template["spec"].get(kind, [])
    ]


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("name", [*OVERLAYS, "tensorrt-build"])
def test_manifests_fit_the_schemas_of_kubernetes(rendered, name, version):
    ours = [m for m in rendered[name] if not m["apiVersion"].startswith("keda.sh/")]
    assert ours
    for manifest in ours:
        kubernetes_validate.validate(manifest, version, strict=True)


def test_the_schemas_find_a_misspelled_field(rendered):
    broken = copy.deepcopy(one(rendered["cpu"], "Deployment", "triton"))
    container = broken["spec"]["template"]["spec"]["containers"][0]
    container["readynessProbe"] = container.pop("readinessProbe")
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(broken, VERSIONS[0], strict=True)


def test_the_scaler_fits_the_schema_of_keda(manifests):
    models = pytest.importorskip("cloudcoil.models.keda.v1alpha1", reason="KEDA's schema: endcap[deploy]")
    scaler = one(manifests, "ScaledObject", "triton")
    read = models.ScaledObject.model_validate(scaler)
    # The models let unknown fields pass: nothing may be lost on the way through them.
    kept = read.model_dump(by_alias=True, exclude_unset=True, mode="json")
    assert kept["spec"] == scaler["spec"]
    assert {
        type(value) for trigger in scaler["spec"]["triggers"] for value in trigger["metadata"].values()
    } == {str}


def test_the_scaler_names_what_is_there(manifests):
    scaler = one(manifests, "ScaledObject", "triton")["spec"]
    deployment = one(manifests, "Deployment", scaler["scaleTargetRef"]["name"])
    assert "replicas" not in deployment["spec"]  # two owners of one number would fight
    (trigger,) = scaler["triggers"]
    (models, other) = re.findall(r'model=~"([^"]+)"', trigger["metadata"]["query"])
    assert models == other
    repository = Path(__file__).resolve().parents[2] / "model_repository"
    assert all((repository / model).is_dir() for model in models.split("|"))


def test_pods_are_restricted(manifests, rendered):
    everything = manifests + rendered["tensorrt-build"]
    for template in pod_templates(everything):
        pod = template["spec"]
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["securityContext"]["runAsUser"] > 0
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert pod["automountServiceAccountToken"] is False
    for container in containers(everything):
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert {"cpu", "memory"} <= set(container["resources"]["requests"])
        assert "memory" in container["resources"]["limits"]
        assert re.search(r":v?\d[\w.-]*$", container["image"]), container["image"]


def test_names_that_refer_to_one_another_exist(manifests):
    for manifest in manifests:
        spec = manifest.get("spec", {})
        selector = spec.get("selector", {}) if manifest["kind"] != "NetworkPolicy" else spec["podSelector"]
        labels = selector.get("matchLabels", selector)
        if manifest["kind"] in (
            "Service",
            "Deployment",
            "StatefulSet",
            "PodDisruptionBudget",
            "NetworkPolicy",
        ):
            matched = [
                t for t in pod_templates(manifests) if labels.items() <= t["metadata"]["labels"].items()
            ]
            assert len(matched) == 1, (manifest["kind"], manifest["metadata"]["name"], labels)
    for template in pod_templates(manifests):
        volumes = {volume["name"] for volume in template["spec"].get("volumes", [])} | {"data"}
        for container in template["spec"]["containers"]:
            ports = {port["name"] for port in container.get("ports", [])}
            for kind in ("startupProbe", "readinessProbe", "livenessProbe"):
                probe = container.get(kind, {})
                for how in ("httpGet", "tcpSocket"):
                    if how in probe:
                        assert probe[how]["port"] in ports
            assert {mount["name"] for mount in container["volumeMounts"]} <= volumes


def test_a_stopping_server_has_time_for_what_it_has_begun(manifests):
    pod = one(manifests, "Deployment", "triton")["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    sleep = int(container["lifecycle"]["preStop"]["exec"]["command"][1])
    (wait,) = (int(a.partition("=")[2]) for a in container["args"] if a.startswith("--exit-timeout-secs="))
    assert container["args"].index("--") < len(container["args"]) - 1
    assert pod["terminationGracePeriodSeconds"] >= sleep + wait + 15
    assert container["startupProbe"]["httpGet"]["path"] == "/v2/health/ready"
    assert container["readinessProbe"]["httpGet"]["path"] == "/v2/health/ready"
    assert container["livenessProbe"]["httpGet"]["path"] == "/v2/health/live"


def test_the_server_writes_only_where_a_volume_is(manifests):
    pod = one(manifests, "Deployment", "triton")["spec"]["template"]["spec"]
    mounts = {mount["mountPath"]: mount for mount in pod["containers"][0]["volumeMounts"]}
    assert set(mounts) == {"/repository", "/state", "/tmp", "/dev/shm", "/etc/endcap"}
    assert mounts["/repository"]["readOnly"] is True
    assert mounts["/etc/endcap"]["readOnly"] is True
    (shm,) = (volume for volume in pod["volumes"] if volume["name"] == "shm")
    assert shm["emptyDir"]["medium"] == "Memory"


def test_only_the_gpu_overlay_asks_for_a_gpu_and_serves_a_plan(rendered):
    for name in OVERLAYS:
        pod = one(rendered[name], "Deployment", "triton")["spec"]["template"]["spec"]
        (container,) = pod["containers"]
        assert ("nvidia.com/gpu" in container["resources"]["limits"]) == (name == "gpu")
        assert ("--model-config-name=tensorrt" in container["args"]) == (name == "gpu")
    job = one(rendered["tensorrt-build"], "Job", "tensorrt-build")["spec"]["template"]["spec"]
    assert "--tensorrt" in job["initContainers"][0]["args"]


def test_the_watch_reads_the_servers_events_and_writes_where_the_exporter_reads(manifests):
    server, exporter = (
        one(manifests, "Deployment", name)["spec"]["template"]["spec"]
        for name in ("triton", "quality-exporter")
    )
    watch = one(manifests, "CronJob", "quality-watch")["spec"]["jobTemplate"]["spec"]["template"]["spec"]
    (monitor,), (shown,) = watch["containers"], exporter["containers"]
    assert monitor["image"] == server["containers"][0]["image"]
    (events,) = (each for each in server["containers"][0]["env"] if each["name"] == "ENDCAP_EVENTS")
    assert events in monitor["env"]
    (written,) = (a.partition("=")[2] for a in monitor["command"] if a.startswith("--prometheus="))
    (read,) = (a.partition("=")[2] for a in shown["args"] if a.startswith("--collector.textfile.directory="))
    assert Path(written).suffix == ".prom"
    assert claim_at(watch, monitor, str(Path(written).parent)) == claim_at(exporter, shown, read)
    allowed = one(manifests, "NetworkPolicy", "valkey")["spec"]["ingress"][0]["from"]
    assert {"podSelector": {"matchLabels": {"app.kubernetes.io/name": "quality-watch"}}} in allowed


def claim_at(pod, container, folder):
    (name,) = (mount["name"] for mount in container["volumeMounts"] if mount["mountPath"] == folder)
    (volume,) = (volume for volume in pod["volumes"] if volume["name"] == name)
    return volume["persistentVolumeClaim"]["claimName"]


def test_the_repository_may_come_from_an_object_store(tmp_path):
    copied = tmp_path / "deploy"
    shutil.copytree(KUBERNETES.parent, copied)
    overlay = copied / "kubernetes" / "overlays" / "cpu" / "kustomization.yaml"
    text = overlay.read_text("utf-8")
    overlay.write_text(text.replace("components:\n", "components:\n  - ../../components/object-store\n"))
    manifests = render(overlay.parent)
    claims = {m["metadata"]["name"] for m in manifests if m["kind"] == "PersistentVolumeClaim"}
    assert claims == {"quality-watch"}
    deployment = one(manifests, "Deployment", "triton")
    kubernetes_validate.validate(deployment, VERSIONS[0], strict=True)
    pod = deployment["spec"]["template"]["spec"]
    (volume,) = (volume for volume in pod["volumes"] if volume["name"] == "repository")
    assert volume == {"name": "repository", "emptyDir": {"sizeLimit": "20Gi"}}
    assert pod["initContainers"][0]["securityContext"]["readOnlyRootFilesystem"] is True


def test_options_of_the_commands_exist(rendered):
    from typer.main import get_command

    from endcap.cli import app

    known = get_command(app).commands
    job = one(rendered["tensorrt-build"], "Job", "tensorrt-build")["spec"]["template"]["spec"]
    name, *arguments = job["initContainers"][0]["args"]
    offered = {option for parameter in known[name].params for option in parameter.opts}
    assert {argument.partition("=")[0] for argument in arguments} <= offered
    watch = one(rendered["cpu"], "CronJob", "quality-watch")["spec"]["jobTemplate"]["spec"]["template"][
        "spec"
    ]
    program, name, *arguments = watch["containers"][0]["command"]
    assert program == "endcap"
    offered = {option for parameter in known[name].params for option in parameter.opts}
    assert {argument.partition("=")[0] for argument in arguments} <= offered
    shell = job["containers"][0]["command"][-1]
    name = shell.split()[2]
    offered = {option for parameter in known[name].params for option in parameter.opts}
    assert set(re.findall(r"--[\w-]+", shell)) <= offered
