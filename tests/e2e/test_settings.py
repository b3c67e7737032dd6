# SPDX-License-Identifier: MIT
"""What is set in the page is seen in the stream, and stays: over a restart, and over the play."""

import contextlib
import socket
import ssl
import subprocess
import time
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from statistics import median

import pytest

from tests.support import ROOT
from tests.support.ansible import play
from tests.support.device import SERVICES, Device
from tests.support.remote_screen import RemoteScreen
from tests.support.waiting import wait_until

from .test_auth import Client

CERTIFICATE = "gateway_certificate_and_key"
EDID = "ustreamer_edid"
HOST_NAME = "gateway_host_name"
SERVERS = "tinypilot_ice_servers"
BITRATE, GOP, RATE = (
    "ustreamer_h264_bitrate_kbps",
    "ustreamer_h264_gop_frames",
    "ustreamer_frame_rate",
)
LONG_NAME = f"{'desk' * 15}.{'rack' * 15}.{'room' * 15}.example.org"
# The emulated source's. Each frame of it has a number.
SOURCE_FPS = 30

pytestmark = pytest.mark.filterwarnings("ignore:Unverified HTTPS request")


@pytest.fixture
def admin(device: Device) -> Iterator[Client]:
    """An admin of a device that is as the play has it, and again afterwards."""
    client = Client(device, device.cookie("admin"))
    yield client
    names = client.ask("GET", "/api/settings").json()["settings"]
    assert client.change("PATCH", "/api/settings", dict.fromkeys(names)).status_code == 200
    for token in client.ask("GET", "/api/tokens").json()["tokens"]:
        assert client.change("DELETE", f"/api/tokens/{token['number']}").status_code == 200


def kbit_per_second(screen: RemoteScreen) -> float:
    """By the moments of capture, as the encoder spends its bits: on a busy machine fewer frames are captured, and each
    may be larger for that."""
    first = screen.wait_for_frame(captured_after=0)
    before = screen.inbound_video()["bytesReceived"]
    screen.collect(90)
    last = screen.wait_for_frame(captured_after=first.stamp)
    size = screen.inbound_video()["bytesReceived"] - before
    return size * 8 / 1000 / (last.stamp - first.stamp)


def frames_per_second(screen: RemoteScreen) -> float:
    """Counted in the source's own frames: how many of them are shown."""
    numbers = [frame.counter for frame in screen.collect(30) if frame.is_good]
    return SOURCE_FPS / median(b - a for a, b in pairwise(numbers))


def key_frame_distance(screen: RemoteScreen) -> float:
    before = screen.inbound_video()
    screen.collect(90)
    after = screen.inbound_video()
    return (after["framesDecoded"] - before["framesDecoded"]) / (
        after["keyFramesDecoded"] - before["keyFramesDecoded"]
    )


def test_what_is_set_is_in_the_stream_and_stays(
    new_screen: Callable[..., RemoteScreen], admin: Client, device: Device
):
    live = new_screen()
    # Its statistics are measured. After a restart another transport may have a picture first.
    live.page.add_init_script("localStorage.setItem('picture-transport', 'webrtc')")
    live.open().wait_until_live()
    before = kbit_per_second(live)
    assert frames_per_second(live) == SOURCE_FPS

    screen = new_screen(role="admin").open("settings")
    page = screen.page
    bitrate = page.get_by_label("Bitrate (kbit/s)")
    apply = page.locator("#ustreamer").get_by_role("button", name="Apply", disabled=False)
    bitrate.fill("20001")
    apply.click()
    page.get_by_text("Bitrate (kbit/s) must be a whole number from 25 to 20000.").wait_for()
    bitrate.fill("1000")
    page.get_by_label("Key frame interval (frames)").fill("10")
    apply.click()
    page.get_by_text("Applied.").wait_for()

    def assert_effective():
        live.wait_until_live()
        # Exactly as uStreamer has it, and seen in the stream: how well an encoder keeps it is another matter.
        if encoder := device.state().get("h264"):
            assert (encoder["bitrate"], encoder["gop"]) == (1000, 10)
        assert kbit_per_second(live) < before / 2
        assert key_frame_distance(live) == pytest.approx(10, abs=2)

    assert_effective()
    device.restart()
    device.wait_until_ready()
    assert_effective()

    screen.open("settings")
    assert bitrate.input_value() == "1000"
    bitrate.fill("")
    page.get_by_label("Frame rate limit (fps)").fill("12")
    apply.click()
    page.get_by_text("Applied.").wait_for()
    live.wait_until_live()
    # One of each three, for more would be more than twelve.
    assert frames_per_second(live) == 10
    settings = admin.ask("GET", "/api/settings").json()["settings"]
    assert (settings[BITRATE]["value"], settings[RATE]["value"]) == (5000, 12)


def test_a_setting_that_a_service_can_not_run_with_is_taken_back(
    live: RemoteScreen, admin: Client, device: Device
):
    """No value within the bounds is like that, so the unit is made to refuse one."""
    folder = "/run/systemd/system/ustreamer.service.d"
    try:
        device.sh(
            f"mkdir {folder} && printf '[Service]\\nExecStartPre=test ${{{BITRATE}}} != 7777\\n' "
            f"> {folder}/refuses.conf && systemctl daemon-reload"
        )
        answer = admin.change("PATCH", "/api/settings", {BITRATE: 7777})
    finally:
        device.sh(f"rm -r {folder} && systemctl daemon-reload")
    assert answer.status_code == 409
    assert "ustreamer.service does not run with these settings" in answer.json()["error"]
    assert "The previous settings were restored." in answer.json()["error"]
    assert admin.ask("GET", "/api/settings").json()["settings"][BITRATE]["value"] == 5000
    live.wait_until_live()


def test_an_edid_reaches_the_device_and_the_picture_follows(
    new_screen: Callable[..., RemoteScreen], admin: Client, device: Device, tmp_path: Path
):
    def read_back() -> str:
        environment = device.sh("systemctl show --property=Environment --value kvm-edid.service")
        return device.sh(f"env {environment.strip()} kvm-edid read /dev/video0").strip()

    live = new_screen().open()
    assert live.wait_until_live().width == 1280
    settings = admin.ask("GET", "/api/settings").json()["settings"]
    assert read_back() == settings[EDID]["default"]

    screen = new_screen(role="admin").open("settings")
    page = screen.page
    apply = page.locator("#edid").get_by_role("button", name="Apply", disabled=False)
    page.get_by_label("Display modes offered").select_option("1920 × 1080 (30 Hz)")
    apply.click()
    page.get_by_text("Applied.").wait_for()
    assert read_back() == settings[EDID]["choices"]["1920 × 1080 (30 Hz)"]
    live.wait_for_frame(captured_after=0, size=(1920, 1080))

    wrong = tmp_path / "wrong.bin"
    wrong.write_bytes(bytes.fromhex("00ffffffffffff00") + bytes(120))
    page.get_by_label("Or an EDID file").set_input_files(wrong)
    apply.click()
    page.get_by_text("This can't be used: The checksum of block 0 is wrong").wait_for()
    good = tmp_path / "good.txt"
    good.write_text((ROOT / "roles/ustreamer/files/edid_1024x768p60.hex").read_text())
    page.get_by_label("Or an EDID file").set_input_files(good)
    apply.click()
    page.get_by_text("Applied.").wait_for()
    page.get_by_text("1024 × 768, 60 Hz", exact=True).wait_for()
    live.wait_for_frame(captured_after=0, size=(1024, 768))


def test_turn_is_told_to_browsers_at_once_and_its_secret_to_nobody(
    new_screen: Callable[..., RemoteScreen], admin: Client, device: Device
):
    def told() -> list[dict]:
        return viewer.ask("GET", "/api/ice-servers").json()["ice_servers"]

    viewer = Client(device, device.cookie())
    secret, address = "north wind and sun", "turn:turn.example:65535"
    ran = [device.main_pid(service) for service in SERVICES]
    screen = new_screen(role="admin").open("settings")
    page = screen.page
    apply = page.locator("#ice").get_by_role("button", name="Apply", disabled=False)
    ways, addresses = (
        page.get_by_label(label)
        for label in ("Servers that the browser may use", "Addresses, one per line")
    )
    ways.select_option("TURN with a shared secret")
    addresses.fill("turn:turn.example:65536")
    page.get_by_label("Shared secret").fill(secret)
    apply.click()
    page.get_by_text("must be a list of URLs such as").wait_for()
    assert told() == []
    addresses.fill(address)
    apply.click()
    page.locator("#ice").get_by_text("Applied.").wait_for()
    page.locator("#turn-secret-hint").wait_for()
    assert [server["urls"] for server in told()] == [[address]]
    # Nothing is typed as the secret now, so it stays.
    addresses.fill(f"stun:stun.example\n{address}")
    apply.click()
    wait_until(lambda: len(told()) == 2, "a STUN server is there, too")
    assert [server["urls"] for server in told()] == [["stun:stun.example"], [address]]

    page.reload()
    page.locator("#turn-secret-hint").wait_for()
    seen = page.content() + admin.ask("GET", "/api/settings").text + device.journal(60)
    arguments = device.sh("cat /proc/[0-9]*/cmdline /proc/[0-9]*/environ | tr '\\0' ' '")
    assert secret not in seen + arguments
    kept = device.sh(f"grep -rls '{secret}' /etc /var/lib /run /tmp", check=False)
    assert kept.split() == ["/var/lib/kvm-settings/settings.json"]
    status = device.sh("stat --format='%U %G %a' /var/lib/kvm-settings/settings.json")
    assert status.split() == ["root", "tinypilot", "640"]
    assert [device.main_pid(service) for service in SERVICES] == ran


def test_a_program_reboots_the_device_with_its_token(
    live: RemoteScreen, admin: Client, device: Device
):
    token = admin.change("POST", "/api/tokens", {"name": "nightly", "role": "admin"}).json()[
        "token"
    ]
    program = Client(device)
    program.http.headers = {"Authorization": f"Bearer {token}"}
    assert program.ask("GET", "/api/source").status_code == 200
    log = program.ask("GET", "/api/log").text
    assert all(f" {unit}[" in log for unit in ("ustreamer", "janus", "tinypilot-audit"))
    assert token not in log
    booted = device.sh("systemctl show --property=UserspaceTimestampMonotonic")
    ran = device.main_pid("nginx"), device.main_pid("ustreamer")
    assert program.ask("POST", "/api/power", {"action": "restart"}).status_code == 200
    wait_until(
        lambda: (
            device.is_active(*SERVICES)
            and not set(ran) & {device.main_pid("nginx"), device.main_pid("ustreamer")}
        ),
        "all services were restarted",
    )
    live.wait_until_live(captured_after=time.time())
    assert device.sh("systemctl show --property=UserspaceTimestampMonotonic") == booted
    assert program.ask("POST", "/api/power", {"action": "reboot"}).status_code == 200
    wait_until(
        lambda: (
            device.sh("systemctl show --property=UserspaceTimestampMonotonic", check=False)
            not in (booted, "")
        ),
        "the device has rebooted",
    )
    device.wait_until_ready()
    live.wait_until_live(captured_after=time.time())
    (listed,) = program.ask("GET", "/api/tokens").json()["tokens"]
    assert program.ask("DELETE", f"/api/tokens/{listed['number']}").status_code == 200
    assert program.ask("GET", "/api/auth").status_code == 401
    assert token not in device.journal(60)


def greet(device: Device, name: str, authority: str) -> bytes | None:
    """The certificate by which a browser gets in that trusts this authority alone; None if it is turned away."""
    trust = ssl.create_default_context(cadata=authority)
    with (
        socket.create_connection((device.address, 443), 10) as plain,
        trust.wrap_socket(plain, server_hostname=name) as tls,
    ):
        tls.sendall(f"GET /login HTTP/1.0\r\nHost: {name}\r\n\r\n".encode())
        welcome = tls.recv(64).split()[1] in (b"200", b"303")
        return tls.getpeercert(binary_form=True) if welcome else None


def is_greeted(device: Device, name: str, authority: str) -> bool:
    # Refused connections, too: nginx is restarted when the name changes.
    with contextlib.suppress(OSError):
        return greet(device, name, authority) is not None
    return False


def own_certificate(folder: Path, name: str) -> tuple[Path, Path]:
    """A certificate that signs itself, and its key."""
    files = folder / f"{name}.pem", folder / f"{name}.key"
    key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"]
    names = ["-subj", "/CN=own", "-addext", f"subjectAltName=DNS:{name}"]
    command = ["openssl", "req", "-x509", *key, *names, "-out", files[0], "-keyout", files[1]]
    subprocess.run(command, check=True, capture_output=True)
    return files


def test_a_certificate_of_ones_own(
    new_screen: Callable[..., RemoteScreen], admin: Client, device: Device, tmp_path: Path
):
    live = new_screen().open()
    live.wait_until_live()
    screen = new_screen(role="admin").open("settings")
    page = screen.page
    page.get_by_label("Certificate in use").select_option("Your own certificate")
    form = page.locator("#certificate")
    apply = form.get_by_role("button", name="Apply", disabled=False)
    chain, key = (
        page.get_by_label(label) for label in ("Certificate, followed by", "Private key, without")
    )
    own, own_key = own_certificate(tmp_path, LONG_NAME)
    _, other_key = own_certificate(tmp_path, "other.example.org")
    chain.set_input_files(own)
    apply.click()
    form.get_by_text("Choose two files").wait_for()
    key.set_input_files(other_key)
    apply.click()
    form.get_by_text("The key belongs to another certificate.").wait_for()
    assert not is_greeted(device, LONG_NAME, own.read_text())
    try:
        with live.by_itself():
            key.set_input_files(own_key)
            apply.click()
            form.get_by_text("Applied.").wait_for()
            wait_until(
                lambda: is_greeted(device, LONG_NAME, own.read_text()),
                "browsers are shown the person's certificate",
            )
            live.wait_until_live(captured_after=time.time())
            page.reload()
            form.get_by_text("A key is set. It is never shown.").wait_for()
            secret = own_key.read_text().splitlines()[1]
            assert secret not in page.content() + admin.ask("GET", "/api/settings").text
            assert secret not in device.journal(60)
            page.get_by_label("Certificate in use").select_option("Default from provisioning")
            apply.click()
            form.get_by_text("Applied.").wait_for()
            authority = admin.ask("GET", "/ca.pem").text
            wait_until(
                lambda: is_greeted(device, device.name, authority),
                "the device's own is shown again",
            )
            live.wait_until_live(captured_after=time.time())
    finally:
        admin.change("PATCH", "/api/settings", {CERTIFICATE: None})


def test_a_host_name_has_its_own_certificate_and_the_play_undoes_nothing(
    admin: Client, device: Device, tmp_path: Path
):
    """Seen as a browser does that trusts the device's authority."""

    def greets_as(name: str) -> bool:
        with contextlib.suppress(OSError):
            return is_greeted(device, name, admin.ask("GET", "/ca.pem").text)
        return False

    # By its name alone the operator reaches it, however it is called: the inventory says so.
    own_name = f"{device.name}.local"
    assert greets_as(own_name)
    assert not greets_as("rack-7")
    try:
        changes = {HOST_NAME: "rack-7", BITRATE: 2500, SERVERS: ["stun:stun.example"]}
        assert admin.change("PATCH", "/api/settings", changes).status_code == 200
        wait_until(lambda: greets_as("rack-7.local"), "the device has its new name")
        device.wait_until_ready()
        assert not greets_as(own_name)
        assert "rack-7" in admin.ask("GET", "/account").text
        device.restart()
        device.wait_until_ready()
        wait_until(lambda: greets_as("rack-7"), "the device has its name again")
        own, own_key = own_certificate(tmp_path, "desk.example.org")
        both = own.read_text() + own_key.read_text()
        assert admin.change("PATCH", "/api/settings", {CERTIFICATE: both}).status_code == 200
        wait_until(
            lambda: is_greeted(device, "desk.example.org", own.read_text()),
            "the device shows another certificate",
        )
        # Nobody is known here but whom a test makes.
        users = {"tinypilot_users": []}
        played = play(device, "--tags=ustreamer,tinypilot,gateway", variables=users).assert_good()
        told = played.output
        assert played.changed == 0, told
        assert f"{BITRATE} is 2500, not 5000" in told
        assert f"{HOST_NAME} is rack-7, not empty" in told
        assert f"{SERVERS} is stun:stun.example, not empty" in told
        assert f"{CERTIFICATE} is another secret, not empty" in told
        assert is_greeted(device, "desk.example.org", own.read_text())
        arguments = device.sh(f"tr '\\0' ' ' < /proc/{device.main_pid('ustreamer')}/cmdline")
        assert "--h264-bitrate=2500" in arguments
    finally:
        admin.change("PATCH", "/api/settings", {HOST_NAME: device.name, CERTIFICATE: None})
        wait_until(lambda: greets_as(own_name), "the device has its own name again")
        device.wait_until_ready()


@pytest.mark.parametrize("name", ["Rack 7", "rack_7", "-rack", "rack.example", "r" * 64, "räck"])
def test_a_wrong_host_name_is_refused(admin: Client, device: Device, name: str):
    answer = admin.change("PATCH", "/api/settings", {HOST_NAME: name})
    assert (answer.status_code, "1 to 63" in answer.json()["error"]) == (400, True)
    assert device.sh("uname -n").strip() == device.name
