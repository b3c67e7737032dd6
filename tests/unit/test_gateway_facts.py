# SPDX-License-Identifier: MIT
"""What the gateway finds on a device before it changes anything: sites of somebody else."""

import importlib.util
from pathlib import Path

import pytest

PROGRAM = Path(__file__).parents[2] / "roles/gateway/files/device_facts.py"
spec = importlib.util.spec_from_file_location("device_facts", PROGRAM)
facts = importlib.util.module_from_spec(spec)
spec.loader.exec_module(facts)

PORTS = {"gateway_http_port": 80, "gateway_https_port": 443}


@pytest.fixture
def mistakes(tmp_path, monkeypatch):
    """The sentences about a device: mistakes(files below /etc/nginx, {port: program}, is_provisioned)."""

    def find(files=(), listening=None, is_provisioned=False):
        for name in files:
            file = tmp_path / name
            file.parent.mkdir(exist_ok=True)
            file.touch()
        names = listening or {}
        monkeypatch.setattr(facts, "listening", lambda: {port: {str(port)} for port in names})
        monkeypatch.setattr(facts, "owners", lambda inodes: {names[int(*inodes)]})
        return list(facts.site_mistakes(PORTS, is_provisioned, tmp_path))

    return find


@pytest.mark.parametrize(
    ("files", "listening", "named"),
    [
        (["sites-enabled/blog"], {}, "(blog)"),
        (["conf.d/proxy.conf"], {}, "(proxy.conf)"),
        (["sites-enabled/default"], {8080: "nginx"}, "(port 8080)"),
        (["sites-enabled/blog", "sites-enabled/default"], {8080: "nginx"}, "(blog, port 8080)"),
    ],
)
def test_sites_of_somebody_else_are_named_and_not_ended(mistakes, files, listening, named):
    (mistake,) = mistakes(files, listening)
    assert f"serves other sites {named}" in mistake
    assert mistakes(files, listening, is_provisioned=True) == []


@pytest.mark.parametrize(
    ("files", "listening"),
    [
        ([], {}),
        (["sites-enabled/default", "conf.d/readme"], {}),
        # Named already for its port.
        (["sites-enabled/default"], {80: "nginx"}),
        ([], {8080: "apache2"}),
    ],
)
def test_what_is_no_site_of_somebody_else(mistakes, files, listening):
    assert mistakes(files, listening) == []
