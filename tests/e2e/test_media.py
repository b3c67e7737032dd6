# SPDX-License-Identifier: MIT
"""Virtual media: an image goes through page, nginx and service onto the device, whole, whatever the line does.

What is put in is read by nobody here: there is no configfs in a container, and the drives are plain files.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.accessibility import assert_accessible
from tests.support.clients import Client
from tests.support.device import Device

# The device made its certificate itself.
pytestmark = pytest.mark.filterwarnings("ignore:Unverified HTTPS request")

MIB = 1024 * 1024
SIZE = 48 * MIB + 512
BREAKS = 10
# So that there is still something to break.
LINE_BYTES_PER_SECOND = 1 * MIB
FOLDER = "/var/lib/kvm-media"
LUN = "/run/emulated-drives/lun.0"


@pytest.fixture
def no_images(device: Device) -> Iterator[None]:
    def remove() -> None:
        device.sh(
            f"systemctl stop tinypilot-media.service; find {FOLDER} -type f -delete; "
            "truncate -s 0 /run/emulated-drives/lun.*/file; systemctl start tinypilot-media.service"
        )

    remove()
    yield
    remove()


def client(device: Device, role: str) -> Client:
    return Client(device, device.cookie(role))


def send(somebody: Client, name: str, offset: int, piece: bytes, **headers: str):
    csrf = somebody.ask("GET", "/api/session").json().get("csrf", "")
    return somebody.http.put(
        f"{somebody.device.url}api/media/uploads/{name}/{offset}",
        data=piece,
        headers={"X-CSRF-Token": csrf, **headers},
        verify=False,
        timeout=20,
    )


@pytest.mark.usefixtures("no_images")
def test_an_image_uploaded_over_a_line_that_breaks_is_whole_and_is_put_in(
    device: Device, ada: Client, new_screen, tmp_path: Path
):
    whole = random.Random(15).randbytes(SIZE)
    sha256 = hashlib.sha256(whole).hexdigest()
    file = tmp_path / "Rescue system (new)?.iso"
    file.write_bytes(whole)
    name = "Rescue system (new)_.iso"
    screen = new_screen(role="admin").open()
    page = screen.page
    page.locator("#open-media").click()
    network = page.context.new_cdp_session(page)
    network.send("Network.enable")

    line = {"offline": False, "latency": 0, "downloadThroughput": -1}
    network.send(
        "Network.emulateNetworkConditions", {**line, "uploadThroughput": LINE_BYTES_PER_SECOND}
    )
    page.locator("#media-file").set_input_files(file)
    arrived = 0
    for number in range(BREAKS):
        screen.wait_until(
            lambda before=arrived: (
                page.locator("#media progress").evaluate("bar => bar.value") > before
            ),
            "the upload goes on",
            60,
        )
        # nginx, through which the line goes; and who takes what comes. In one go: the line does not wait.
        unit = "tinypilot-media" if number % 3 == 2 else "nginx"
        size = f"stat -c %s '{FOLDER}/incoming/{name}'"
        sizes = device.sh(
            f"{size}; systemctl kill --kill-whom=all --signal=KILL {unit}.service; {size}"
        ).split()
        before, arrived = map(int, sizes)
        assert 0 < before <= arrived < SIZE
    screen.wait_until(
        lambda: sha256 in page.locator("#media").inner_text(), "the page shows the checksum", 150
    )
    assert device.sh(f"sha256sum '{FOLDER}/images/{name}'").split()[0] == sha256

    assert_accessible(screen, "USB drives")
    page.locator("#insert-0").click()
    screen.wait_for("#eject-0")
    path = device.sh(f"cat {LUN}/file")
    assert device.sh(f"sha256sum '{path}'").split()[0] == sha256
    # The computer ejects it.
    device.sh(f"truncate -s 0 {LUN}/file")
    screen.wait_for("#insert-0")
    log = device.sh("journalctl -t tinypilot-audit -o cat --since -5min")
    assert f"{name} has arrived: {SIZE} bytes, SHA-256 {sha256}" in log
    assert f"the computer ejected {name} from drive 0" in log


# The device is its own neighbour: its network is one that virtual.yml names.
HOST = "images.example"
FETCHED_BYTES = 8 * MIB + 512
SERVER = """
import functools, http.server, ssl
context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
context.load_cert_chain("/run/image-server/cert.pem", "/run/image-server/key.pem")
handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory="/run/image-server/files")
server = http.server.ThreadingHTTPServer(("", 8443), handler)
server.socket = context.wrap_socket(server.socket, server_side=True)
server.serve_forever()
"""
TRUST = "/run/systemd/system/tinypilot-fetch@.service.d"


@pytest.fixture
def image_server(device: Device) -> Iterator[str]:
    """The folder of what it serves."""
    device.sh(
        "mkdir -p /run/image-server/files && cd /run/image-server && cp /etc/hosts hosts && openssl req -x509 -nodes "
        f"-newkey rsa:2048 -days 2 -subj /CN={HOST} -addext subjectAltName=DNS:{HOST} -keyout key.pem -out cert.pem "
        f"2>&1 && echo \"$(hostname -I | cut -d' ' -f1) {HOST}\" >>/etc/hosts && mkdir -p {TRUST} && "
        f"printf '[Service]\\nEnvironment=SSL_CERT_FILE=/run/image-server/cert.pem\\n' >{TRUST}/trust.conf && "
        f"systemctl daemon-reload && systemd-run --quiet --unit=image-server python3 -c '{SERVER}'"
    )
    yield "/run/image-server/files"
    device.sh(
        "systemctl stop image-server; cat /run/image-server/hosts >/etc/hosts; "
        f"rm -r /run/image-server {TRUST}; systemctl daemon-reload"
    )


@pytest.mark.usefixtures("no_images", "ada")
def test_the_device_fetches_an_image_and_unpacks_it(device: Device, new_screen, image_server: str):
    sha256 = device.sh(
        f"cd {image_server} && head -c {FETCHED_BYTES} /dev/urandom >new.iso && sha256sum new.iso && gzip new.iso"
    ).split()[0]
    screen = new_screen(role="admin").open()
    page = screen.page
    page.locator("#open-media").click()
    screen.wait_for("#fetch-url")
    page.locator("#fetch-url").fill(f"https://{HOST}:8443/new.iso.gz")
    page.locator("#fetch-url").press("Enter")
    screen.wait_until(
        lambda: sha256 in page.locator("#media").inner_text(), "the page shows the checksum", 60
    )
    assert_accessible(screen, "USB drives")
    assert device.sh(f"sha256sum {FOLDER}/images/new.iso").split()[0] == sha256
    log = device.sh("journalctl -t tinypilot-audit -o cat --since -5min")
    assert f"new.iso fetched from {HOST}" in log.replace(".gz", "")
    assert f"new.iso has arrived: {FETCHED_BYTES} bytes, SHA-256 {sha256}" in log

    # The same name, and another place: next to the device, with a public address as IPv6 networks have them; and the
    # device itself.
    admin = client(device, "admin")
    wanted = {"url": f"https://{HOST}:8443/new.iso.gz", "name": "other.iso"}
    device.sh(f"cat /run/image-server/hosts >/etc/hosts; echo '9.9.9.7 {HOST}' >>/etc/hosts")
    device.sh("ip link add near0 type veth peer name near1 && ip address add 9.9.9.1/24 dev near0")
    device.sh("ip link set near0 up && ip link set near1 up")
    answer = admin.change("POST", "/api/media/downloads", wanted)
    device.sh("ip link del near0")
    assert "in a network of this device" in answer.json()["error"]
    device.sh(f"cat /run/image-server/hosts >/etc/hosts; echo '127.0.0.1 {HOST}' >>/etc/hosts")
    for url, said in (
        (f"https://{HOST}:8443/new.iso.gz", "no public address"),
        ("https://127.0.0.1:8443/new.iso.gz", "tinypilot_media_sources"),
        (f"https://{HOST}/new.iso.gz", "tinypilot_media_sources"),
        (f"http://{HOST}:8443/new.iso.gz", "must be https://"),
    ):
        answer = admin.change("POST", "/api/media/downloads", {"url": url, "name": "other.iso"})
        assert answer.status_code in (400, 403) and said in answer.json()["error"], answer.text
    wanted = {"url": f"https://{HOST}:8443/new.iso.gz"}
    answer = client(device, "operator").change("POST", "/api/media/downloads", wanted)
    assert "needs the role admin" in answer.json()["error"]


@pytest.mark.usefixtures("no_images", "ada")
def test_pieces_are_for_admins_and_have_a_bound(device: Device):
    admin = client(device, "admin")
    wanted = {"name": "a.iso", "size": 40 * MIB}
    assert admin.change("POST", "/api/media/uploads", wanted).json()["offset"] == 0
    # Each in a sentence, which the web app has said.
    stranger = Client(device)
    answer = send(stranger, "a.iso", 0, b"x")
    assert (answer.status_code, answer.json()) == (401, {"error": "Log in first."})
    for role in ("viewer", "operator"):
        answer = send(client(device, role), "a.iso", 0, b"x")
        assert (answer.status_code, "needs the role admin" in answer.json()["error"]) == (403, True)
    answer = send(admin, "a.iso", 0, b"x", Origin="https://evil.example")
    assert (answer.status_code, "another site" in answer.json()["error"]) == (403, True)
    answer = send(admin, "a.iso", 0, b"x", **{"X-CSRF-Token": "0" * 64})
    assert (answer.status_code, "CSRF" in answer.json()["error"]) == (403, True)
    answer = send(admin, ".hidden", 0, b"x")
    assert (answer.status_code, "An image's name" in answer.json()["error"]) == (400, True)
    assert send(admin, "a.iso", 0, bytes(16 * MIB + 1)).status_code == 413
    assert send(admin, "a.iso", 5, b"x").status_code == 409
    assert send(admin, "b.iso", 0, b"x").status_code == 404
    assert device.sh(f"stat -c %s {FOLDER}/incoming/a.iso").strip() == "0"
    assert send(admin, "a.iso", 0, bytes(16 * MIB)).json()["offset"] == 16 * MIB
    # nginx has kept nothing of it.
    assert device.sh("find /run/kvm-gateway/body -type f").strip() == ""
    assert admin.change("DELETE", "/api/media/uploads/a.iso").status_code == 200


@pytest.mark.usefixtures("no_images", "ada")
def test_an_empty_disk_is_a_fat_file_system(device: Device):
    wanted = {"name": "files.img", "size": 16 * MIB}
    assert client(device, "admin").change("POST", "/api/media/disks", wanted).status_code == 200
    assert "FAT" in device.sh(f"fsck.vfat -n -v {FOLDER}/images/files.img")
    answer = client(device, "viewer").ask("GET", "/api/media")
    assert answer.status_code == 403
