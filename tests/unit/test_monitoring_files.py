# SPDX-License-Identifier: MIT
"""The alert rules and the dashboard ask for what a device really exposes, and say what they should."""

import json
import re
import subprocess

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families
from tinypilot import healing
from tinypilot.monitoring import metrics

from tests.support import ROOT

from .test_metrics import full_facts

FOLDER = ROOT / "monitoring"
RULES = yaml.safe_load((FOLDER / "alerts.yml").read_text())["groups"]
DASHBOARD = json.loads((FOLDER / "dashboard.json").read_text())
SELECTED = re.compile(r"\b(kvm_\w+)(\{[^}]*\})?")
MATCHER = re.compile(r'(\w+)(=~|!=|!~|=)"([^"]*)"')
# What Prometheus itself puts on each series.
OF_PROMETHEUS = {"job", "instance"}


def alerts():
    return [rule for group in RULES for rule in group["rules"]]


def expressions():
    """All, with where they stand."""
    found = [(rule["alert"], rule["expr"]) for rule in alerts()]
    for panel in DASHBOARD["panels"]:
        found += [(panel["title"], target["expr"]) for target in panel["targets"]]
    found += [
        (variable["name"], variable["definition"])
        for variable in DASHBOARD["templating"]["list"]
        if variable["type"] == "query"
    ]
    return found


@pytest.fixture(scope="module")
def exposed():
    """Of a device that tells all: by series' name, its labels and their values."""
    labels: dict[str, dict[str, set[str]]] = {}
    for family in text_string_to_metric_families(metrics.exposition(full_facts()).decode()):
        for sample in family.samples:
            known = labels.setdefault(sample.name, {})
            for name, value in sample.labels.items():
                known.setdefault(name, set()).add(value)
    return labels


def run(*command):
    return subprocess.run(command, cwd=FOLDER, capture_output=True, text=True, check=False)


def test_the_rules_are_valid_and_raise_what_they_should():
    for command in (("check", "rules", "alerts.yml"), ("test", "rules", "alerts_test.yml")):
        done = run("promtool", *command)
        assert done.returncode == 0, done.stdout + done.stderr


def test_the_example_of_a_configuration_is_valid(tmp_path):
    for name in ("prometheus.yml", "alerts.yml"):
        (tmp_path / name).write_text((FOLDER / name).read_text())
    for secret in ("kvm.token", "kvm-ca.pem"):
        (tmp_path / secret).touch()
    done = run("promtool", "check", "config", str(tmp_path / "prometheus.yml"))
    assert done.returncode == 0, done.stdout + done.stderr


def test_each_alert_is_tested_both_ways():
    tests = yaml.safe_load((FOLDER / "alerts_test.yml").read_text())["tests"]
    said = json.dumps(tests[1:])
    for rule in alerts():
        assert re.search(rf"\b{rule['alert']}\b", said), rule["alert"]
    # A device that is well raises none, and has a series for each of them.
    well = json.dumps(tests[0]["input_series"])
    for rule in alerts():
        for name, _ in SELECTED.findall(rule["expr"]):
            assert name in well, (rule["alert"], name)


@pytest.mark.parametrize(("where", "expression"), expressions())
def test_what_is_asked_for_is_exposed(exposed, where, expression):
    selected = SELECTED.findall(expression)
    assert selected or "up{" in expression, where
    for name, matchers in selected:
        assert name in exposed, (where, name)
        for label, operator, value in MATCHER.findall(matchers):
            if label in OF_PROMETHEUS:
                continue
            assert label in exposed[name], (where, name, label)
            if operator in ("=", "=~"):
                assert {*value.split("|")} <= exposed[name][label], (where, name, value)


@pytest.mark.parametrize("rule", alerts(), ids=lambda rule: rule["alert"])
def test_words_of_an_alert_name_labels_that_it_has(exposed, rule):
    of_series = [exposed[name] for name, _ in SELECTED.findall(rule["expr"])]
    known = OF_PROMETHEUS.union(*of_series)
    words = json.dumps(rule["annotations"])
    assert {*re.findall(r"\$labels\.(\w+)", words)} <= known
    assert {*rule["annotations"]} == {"summary", "description"}
    assert rule["labels"]["severity"] in ("info", "warning", "critical")


def test_legends_of_the_dashboard_name_labels_that_there_are(exposed):
    for panel in DASHBOARD["panels"]:
        for target in panel["targets"]:
            known = {
                label for name, _ in SELECTED.findall(target["expr"]) for label in exposed[name]
            }
            asked = {*re.findall(r"\{\{(\w+)\}\}", target["legendFormat"])}
            assert asked <= known, panel["title"]


def test_each_family_is_described_and_nothing_else(exposed):
    """In docs/monitoring.md."""
    text = (ROOT / "docs/monitoring.md").read_text()
    described = {*re.findall(r"^\| `(kvm_\w+)` \|", text, re.MULTILINE)}
    families = {re.sub("_(bucket|sum|count|created)$", "", name) for name in exposed}
    assert described == families
    for kind in (*healing.KINDS.values(), healing.OTHER_KIND):
        assert f"`{kind}`" in text
