"""Alerts fire where they must, and they and the dashboards ask for nothing that the server does not say."""

import json
import re
import shutil
import subprocess
import urllib.request
from pathlib import Path

import pytest
import yaml
from endcap_export.monitor import watch
from endcap_export.monitor.textfile import exposition
from endcap_rerank.events import Event

DEPLOY = Path(__file__).parents[2] / "deploy"
RULES = DEPLOY / "prometheus" / "rules.yaml"
RULES_TESTS = sorted((DEPLOY / "prometheus").glob("rules*_test.yaml"))
DASHBOARDS = sorted((DEPLOY / "grafana").glob("*.json"))

# Prometheus writes it itself for every target.
PROMETHEUS_OWN = {"up"}
_METRIC = re.compile(r"(?<![\w:\"$])((?:nv|endcap|up)(?:[_:][\w:]*)?)(?![\w(\"])")
_LABELS = re.compile(r"\{[^{}]*\}")
_SELECTOR = re.compile(r"([a-zA-Z_:][\w:]*)\{([^{}]*)\}")


def rules():
    return [rule for group in yaml.safe_load(RULES.read_text())["groups"] for rule in group["rules"]]


def recorded():
    return {rule["record"] for rule in rules() if "record" in rule}


def queries():
    """Every query of the rules and of the dashboards."""
    found = [(rule.get("alert") or rule["record"], rule["expr"]) for rule in rules()]
    for file in DASHBOARDS:
        for panel in json.loads(file.read_text())["panels"]:
            found += [(f"{file.name}: {panel['title']}", one["expr"]) for one in panel.get("targets", [])]
    return found


def metrics_of(query):
    return set(_METRIC.findall(_LABELS.sub("", query)))


@pytest.fixture(scope="module")
def page(server):
    """The page of a live server, and what `endcap monitor` writes."""
    events = [Event(f"u{n}", "p", kind, 0.0 + n, "q", 0) for n in range(9) for kind in ("view", "click")]
    watched = exposition(watch(events, since=4.0), 0.0)
    with urllib.request.urlopen(server.metrics_url, timeout=10) as response:
        return f"{response.read().decode()}\n{watched}"


def test_there_is_something_to_check():
    assert len(queries()) > 40
    assert all(metrics_of(query) for _, query in queries())


@pytest.mark.parametrize(("name", "query"), queries(), ids=[name for name, _ in queries()])
def test_query_names_what_the_live_server_exports(page, name, query):
    exported = set(re.findall(r"^(\w+)[{ ]", page, re.MULTILINE)) | recorded() | PROMETHEUS_OWN
    assert metrics_of(query) <= exported


@pytest.mark.parametrize(("name", "query"), queries(), ids=[name for name, _ in queries()])
def test_query_asks_for_labels_that_the_metric_has(page, name, query):
    for metric, selector in _SELECTOR.findall(query):
        asked = set(re.findall(r"(\w+)\s*(?:=~|!~|!=|=)", selector)) - {"instance", "job"}
        lines = re.findall(rf"^{metric}\{{(.*)\}}", page, re.MULTILINE)
        has = {label for line in lines for label in re.findall(r'(\w+)="', line)}
        assert asked <= has or metric in PROMETHEUS_OWN, (metric, asked - has)


def test_every_alert_is_tested_both_ways():
    silent, firing = set(), set()
    for test in (one for file in RULES_TESTS for one in yaml.safe_load(file.read_text())["tests"]):
        for case in test["alert_rule_test"]:
            (firing if case["exp_alerts"] else silent).add(case["alertname"])
    alerts = {rule["alert"] for rule in rules() if "alert" in rule}
    assert silent == firing == alerts


def test_every_alert_has_its_paragraph():
    page = (DEPLOY.parent / "docs" / "monitoring.md").read_text()
    anchors = {heading.strip().lower() for heading in re.findall(r"^#+ (.*)$", page, re.MULTILINE)}
    for rule in rules():
        if "alert" in rule:
            file, _, anchor = rule["annotations"]["runbook"].partition("#")
            assert file == "docs/monitoring.md"
            assert anchor in anchors, rule["alert"]


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool (Debian: prometheus) is not installed")
def test_rules_and_their_tests_pass_promtool():
    for command in (("check", "rules", RULES.name), ("test", "rules", *(file.name for file in RULES_TESTS))):
        ran = subprocess.run(
            ["promtool", *command], cwd=RULES.parent, capture_output=True, text=True, timeout=300
        )
        assert ran.returncode == 0, ran.stdout + ran.stderr
