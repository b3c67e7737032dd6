# SPDX-License-Identifier: MIT
"""What the gateway finds on a device before it changes anything: sites and certificates of somebody else."""

import importlib.util
import subprocess
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


# --- The operator's own certificate ---


@pytest.fixture
def own(tmp_path, monkeypatch):
    """The sentences about a certificate and key that openssl makes: own(*options of its key)."""

    # Only root can try that.
    monkeypatch.setattr(facts, "readable_as", lambda *_: True)

    def find(*options):
        certificate, key = tmp_path / "kvm.crt", tmp_path / "kvm.key"
        command = ["openssl", "req", "-x509", "-nodes", "-subj", "/CN=kvm", "-out", certificate]
        subprocess.run([*command, "-keyout", key, *options], check=True, capture_output=True)
        return list(facts.certificate_mistakes(str(certificate), str(key), "www-data"))

    return find


EC = ("-newkey", "ec", "-pkeyopt")


@pytest.mark.parametrize(
    "options",
    [
        ("-newkey", "rsa:2048"),
        (*EC, "ec_paramgen_curve:P-256"),
        (*EC, "ec_paramgen_curve:P-384"),
    ],
)
def test_a_certificate_that_browsers_take_is_no_mistake(own, options):
    assert own(*options) == []


@pytest.mark.parametrize(
    "options",
    [
        ("-newkey", "ed25519"),
        ("-newkey", "rsa-pss", "-pkeyopt", "rsa_keygen_bits:2048"),
        (*EC, "ec_paramgen_curve:P-521"),
    ],
)
def test_one_with_a_key_that_browsers_refuse_is_named(own, options):
    (mistake,) = own(*options)
    assert "a kind of key that browsers do not accept" in mistake


def test_one_with_a_passphrase_is_named(own, tmp_path):
    own("-newkey", "rsa:2048")
    key, locked = tmp_path / "kvm.key", tmp_path / "locked.key"
    command = ["openssl", "rsa", "-aes256", "-passout", "pass:north", "-in", key, "-out", locked]
    subprocess.run(command, check=True, capture_output=True)
    names = [str(tmp_path / "kvm.crt"), str(locked)]
    (mistake,) = facts.certificate_mistakes(*names, "www-data")
    assert "without a passphrase" in mistake
