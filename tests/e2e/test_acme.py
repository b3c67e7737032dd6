# SPDX-License-Identifier: MIT
"""The page's certificate from a real ACME server, pebble: it comes, is renewed, outlives the server, and goes."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization

from tests.support import ROOT
from tests.support.ansible import play
from tests.support.device import Device, DeviceError, docker
from tests.support.remote_screen import RemoteScreen
from tests.support.waiting import wait_until

from .test_settings import greet

VERIFY = ROOT / "playbooks/verify.yml"
END_OF_VERIFY = "--start-at-task=Ask whether the ACME server gave a certificate"
NAME = "kvm.example.org"
ISSUED = "/var/lib/gateway-acme/certificate.pem"
_ROOT_OF_PEBBLE = """
import ssl, sys, urllib.request
trust = ssl.create_default_context(cadata=sys.argv[1])
print(urllib.request.urlopen("https://127.0.0.1:15000/roots/0", context=trust).read().decode())
"""


class AcmeServer:
    """Pebble in the network of the device, which it knows as NAME."""

    def __init__(self, device: Device, folder: Path):
        self.device = device
        self.folder = folder
        self.directory_url = "https://127.0.0.1:14000/dir"
        self._make_certificate()
        settings = {
            "listenAddress": "127.0.0.1:14000",
            "managementListenAddress": "127.0.0.1:15000",
            "certificate": str(folder / "pebble.pem"),
            "privateKey": str(folder / "pebble.key"),
            "httpPort": 80,
            "tlsPort": 443,
        }
        (folder / "pebble.json").write_text(json.dumps({"pebble": settings}))
        (folder / "hosts").write_text(f"127.0.0.1 localhost\n{device.address} {NAME}\n")

    def _make_certificate(self) -> None:
        subject = ["-subj", "/CN=pebble", "-addext", "subjectAltName=IP:127.0.0.1"]
        usage = ["-addext", "keyUsage=critical,digitalSignature,keyCertSign"]
        files = ["-keyout", self.folder / "pebble.key", "-out", self.folder / "pebble.pem"]
        key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"]
        command = ["openssl", "req", "-x509", *key, *subject, *usage, *files]
        subprocess.run(command, check=True, capture_output=True)

    @property
    def authority(self) -> str:
        return (self.folder / "pebble.pem").read_text()

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        """With the name server's part done by a file that only it sees."""
        process = docker("inspect", "-f", "{{.State.Pid}}", self.device.name).strip()
        run = f"mount --bind {self.folder}/hosts /etc/hosts && exec pebble -config {self.folder}/pebble.json"
        with (self.folder / "pebble.log").open("w") as log:
            pebble = subprocess.Popen(
                ["nsenter", f"--target={process}", "--net", "unshare", "--mount", "sh", "-c", run],
                # Each challenge is looked at, without the pauses that a busy server would make.
                env={**os.environ, "PEBBLE_VA_NOSLEEP": "1", "PEBBLE_AUTHZREUSE": "0"},
                stdout=log,
                stderr=log,
            )
        try:
            wait_until(self.root, "pebble answers")
            yield
        finally:
            pebble.terminate()
            pebble.wait()

    def root(self) -> str:
        """The authority of what it signs, another one each time it is started."""
        with contextlib.suppress(DeviceError):
            return self.device.python(_ROOT_OF_PEBBLE, self.authority)
        return ""


def replace_by_an_aged_one(device: Device) -> bytes:
    """The one that is served from now on: in the last third of its 90 days, signed by the device's own authority."""
    tls = "/etc/kvm-gateway/tls"
    request, authority, key = (
        device.sh(f"cat {path}").encode()
        for path in ("/etc/kvm-gateway/acme/request.pem", f"{tls}/ca.pem", f"{tls}/ca.key")
    )
    asked = x509.load_pem_x509_csr(request)
    now = datetime.now(UTC)
    aged = x509.CertificateBuilder(
        subject_name=asked.subject,
        issuer_name=x509.load_pem_x509_certificate(authority).subject,
        public_key=asked.public_key(),
        serial_number=x509.random_serial_number(),
        not_valid_before=now - timedelta(days=61),
        not_valid_after=now + timedelta(days=29),
        extensions=list(asked.extensions),
    ).sign(serialization.load_pem_private_key(key, password=None), hashes.SHA256())
    pem = aged.public_bytes(serialization.Encoding.PEM).decode()
    device.sh(f"cat > {ISSUED} <<'END'\n{pem}END\n")
    device.sh("systemctl start gateway-certificate.service")
    # The device would make one of its own, had it not taken this over.
    served = greet(device, NAME, authority.decode())
    assert served == aged.public_bytes(serialization.Encoding.DER)
    return served


def phases_of_role(folder: Path, *phases: str) -> Path:
    """A play of them alone, for what else there is stays as it is."""
    tasks = [{"import_role": {"name": "gateway", "tasks_from": phase}} for phase in phases]
    playbook = folder / f"{'-'.join(phases)}.json"
    play = {"hosts": "kvm", "gather_subset": ["!all", "min", "network"], "tasks": tasks}
    playbook.write_text(json.dumps([play]))
    return playbook


def test_a_certificate_comes_is_renewed_outlives_its_server_and_goes(
    device: Device, screen: RemoteScreen, tmp_path: Path
):
    server = AcmeServer(device, tmp_path)
    variables = {
        "gateway_certificate_names": [NAME],
        "gateway_acme_directory_url": server.directory_url,
        "gateway_acme_contact": "ada@example.org",
        "gateway_acme_authority": server.authority,
    }
    whole = phases_of_role(tmp_path, "preflight", "install", "configure", "service")
    configured = phases_of_role(tmp_path, "preflight", "configure", "service")
    try:
        with server.running():
            play(device, playbook=whole, variables=variables).assert_good()
            root = server.root()
            first = greet(device, NAME, root)

            replace_by_an_aged_one(device)
            screen.open().wait_until_live()
            connections = screen.peer_connections
            with screen.by_itself():
                device.sh("systemctl start gateway-acme.service gateway-certificate.service")
                renewed = greet(device, NAME, root)
                screen.wait_until_live(captured_after=time.time())
                screen.wait_until(
                    lambda: screen.janus_did("claim"), "the page has its session again"
                )
            assert first and renewed and renewed != first
            # The media went on as it was.
            assert screen.peer_connections == connections

        aged = replace_by_an_aged_one(device)
        again = play(device, playbook=configured, variables=variables).assert_good()
        assert again.changed == 0, again.printed
        proof = play(device, END_OF_VERIFY, playbook=VERIFY, variables=variables)
        told = proof.assert_good().output
        assert f"The ACME server {server.directory_url} gave no certificate" in told
        assert "Connection refused" in told
        own = device.sh("cat /etc/kvm-gateway/tls/ca.pem")
        assert greet(device, NAME, own) == aged
    finally:
        play(device, playbook=configured).assert_good()
        # It is unknown again where it has not failed.
        device.sh("systemctl reset-failed gateway-acme.service", check=False)
        device.sh("rm -rf /var/lib/private/gateway-acme /var/lib/gateway-acme")
    assert greet(device, device.name, device.sh("cat /etc/kvm-gateway/tls/ca.pem"))
