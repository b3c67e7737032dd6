# SPDX-License-Identifier: MIT
"""What the device tells of itself, to a program with curl and to a real Prometheus."""

from __future__ import annotations

import re
import socket
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import requests
from prometheus_client.parser import text_string_to_metric_families

from tests.support import ROOT
from tests.support.clients import Client
from tests.support.device import Device
from tests.support.remote_screen import RemoteScreen
from tests.support.waiting import LONG_POLL_SECONDS, wait_until

# The device made its certificate itself.
pytestmark = pytest.mark.filterwarnings("ignore:Unverified HTTPS request")

MONITORING = ROOT / "monitoring"
# Of an encoder, and whether somebody watches. One that hangs while somebody watches is healed, see test_healing.py.
DEFECTS = [
    *(("damaging", True), ("frozen", True)),
    *(("damaging", False), ("frozen", False), ("hanging", False)),
]
DEFECTS_IN_SHORT = DEFECTS[:1]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "defect" in metafunc.fixturenames:
        is_long = metafunc.config.getoption("--each-defect")
        metafunc.parametrize(("defect", "is_watched"), DEFECTS if is_long else DEFECTS_IN_SHORT)


def scrape(device: Device, **headers: str) -> requests.Response:
    return requests.get(
        f"{device.url}metrics", headers=headers, verify=False, allow_redirects=False, timeout=30
    )


@pytest.fixture
def token(ada: Client) -> str:
    """Of a program that may watch, and change nothing."""
    made = ada.change("POST", "/api/tokens", {"name": "prometheus", "role": "viewer"})
    assert made.status_code == 200
    return made.json()["token"]


Metrics = Callable[..., float | None]


ASK_SOCKET = """
import http.client, socket
connection = http.client.HTTPConnection("localhost")
connection.sock = socket.socket(socket.AF_UNIX)
connection.sock.connect("/run/tinypilot/metrics.sock")
connection.request("GET", "/metrics")
print(connection.getresponse().read().decode())
"""


@pytest.fixture
def metric(device: Device) -> Metrics:
    """metric(name, label=value) is the series' value now, or None. From the device's own socket, without a token."""

    def look(name: str, **labels: str) -> float | None:
        for family in text_string_to_metric_families(device.python(ASK_SOCKET)):
            for sample in family.samples:
                if sample.name == name and sample.labels == labels:
                    return sample.value
        return None

    return look


# --- Who may ask ---


def test_nobody_is_told_without_a_session_or_a_token(device: Device):
    assert scrape(device).status_code == 401
    assert scrape(device, Authorization="Bearer kvm_wrong").status_code == 401
    assert scrape(device, Cookie="__Host-tinypilot=wrong").status_code == 401


def test_a_token_that_may_only_watch_is_enough_and_counts_until_it_is_removed(
    device: Device, ada: Client, token: str
):
    answer = scrape(device, Authorization=f"Bearer {token}")
    assert answer.status_code == 200
    assert answer.headers["Content-Type"].startswith("text/plain; version=")
    assert "kvm_build_info{" in answer.text
    assert token not in answer.text
    (listed,) = ada.ask("GET", "/api/tokens").json()["tokens"]
    assert ada.change("DELETE", f"/api/tokens/{listed['number']}").status_code == 200
    assert scrape(device, Authorization=f"Bearer {token}").status_code == 401


def test_a_session_is_enough_and_nothing_can_be_sent(device: Device):
    cookie = device.cookie()
    assert scrape(device, Cookie=cookie).status_code == 200
    answer = requests.post(
        f"{device.url}metrics", headers={"Cookie": cookie}, verify=False, timeout=30
    )
    assert answer.status_code == 403


def test_what_the_web_app_is_told_is_for_nobody_outside(device: Device):
    cookie = device.cookie("admin")
    answer = requests.get(
        f"{device.url}facts", headers={"Cookie": cookie}, verify=False, timeout=30
    )
    assert answer.status_code == 404


# --- Whether it is true ---


def test_who_watches_is_counted_with_the_frames(live: RemoteScreen, metric: Metrics):
    live.wait_until(lambda: metric("kvm_viewers", transport="webrtc") == 1, "the viewer is counted")
    names = ("kvm_frames_captured_total", "kvm_monitoring_cpu_seconds_total")
    of_webrtc = ("kvm_frames_encoded_total", "kvm_frames_sent_total")
    before = {name: metric(name) or 0 for name in names}
    before |= {name: metric(name, transport="webrtc") or 0 for name in of_webrtc}
    live.wait_until(
        lambda: (
            all((metric(name) or 0) > before[name] for name in names)
            and all((metric(name, transport="webrtc") or 0) > before[name] for name in of_webrtc)
        ),
        "all counters go on",
    )
    sent = metric("kvm_capture_to_send_seconds_count", transport="webrtc")
    late = metric("kvm_capture_to_send_seconds_bucket", transport="webrtc", le="1.0")
    assert sent and late and late > sent / 2
    assert (metric("kvm_signal"), metric("kvm_video_ok")) == (1, 1)
    assert metric("kvm_source_width_pixels") == 1280
    live.leave()
    wait_until(lambda: metric("kvm_viewers", transport="webrtc") == 0, "nobody is counted")


def test_the_picture_is_proven_while_nobody_watches_and_nobody_encodes(
    device: Device, metric: Metrics, pytestconfig: pytest.Config
):
    """For the two frames of a sample uStreamer is woken; then it sleeps on, whoever scrapes."""
    wait_until(
        lambda: not device.is_encoding,
        "uStreamer has no reader",
        seconds=90,
        poll_seconds=LONG_POLL_SECONDS,
    )
    wait_until(lambda: metric("kvm_video_ok") == 1, "the picture is proven")
    if pytestconfig.getoption("--each-defect"):
        checked = metric("kvm_video_checked_timestamp_seconds") or 0
        wait_until(
            lambda: (metric("kvm_video_checked_timestamp_seconds") or 0) > checked,
            "another sample is taken, a minute later",
            seconds=100,
            poll_seconds=LONG_POLL_SECONDS,
        )
    assert metric("kvm_video_ok") == 1
    looks = [device.is_encoding for _ in range(20)]
    assert looks.count(True) <= 3


@pytest.mark.usefixtures("encoder_chip")
def test_an_encoder_that_is_defective_is_no_picture(
    device: Device, metric: Metrics, request: pytest.FixtureRequest, defect: str, is_watched: bool
):
    if is_watched:
        request.getfixturevalue("live")
    wait_until(lambda: metric("kvm_video_ok") == 1, "there is a picture")
    device.control(encoder=defect)
    wait_until(lambda: metric("kvm_video_ok") == 0, "no picture is found", seconds=100)
    assert metric("kvm_signal") == 1
    somebody = Client(device, device.cookie())
    # What the web app was told is good for two seconds.
    wait_until(
        lambda: somebody.ask("GET", "/api/health").status_code == 503, "the device is not well"
    )
    health = somebody.ask("GET", "/api/health")
    (picture,) = [part for part in health.json()["parts"] if part["part"] == "picture"]
    assert "no frames could be decoded" in picture["words"]
    assert "No picture: " in device.journal(120)
    device.control()
    wait_until(lambda: metric("kvm_video_ok") == 1, "there is a picture again", seconds=60)


def test_a_computer_that_is_off_is_told_apart(device: Device, metric: Metrics):
    device.control(signal="lost")
    wait_until(lambda: metric("kvm_signal") == 0, "the signal is missed")
    assert metric("kvm_video_ok") == 0
    assert metric("kvm_signal_state", state="disconnected") == 1
    health = Client(device, device.cookie()).ask("GET", "/api/health")
    assert (health.status_code, health.json()["status"]) == (200, "ok")
    device.control()
    wait_until(lambda: metric("kvm_video_ok") == 1, "there is a picture again")


def test_what_is_killed_and_what_hangs_is_counted(device: Device, metric: Metrics):
    unit = "tinypilot-relay.service"
    restarts = metric("kvm_service_restarts_total", unit=unit) or 0
    device.kill("tinypilot-relay")
    wait_until(
        lambda: (
            (metric("kvm_service_restarts_total", unit=unit) or 0) > restarts
            and device.is_active("tinypilot-relay")
        ),
        "the restart is counted, and over: whoever hangs in it has more time",
    )
    labels = {"unit": unit, "reason": "no_sign_of_life"}
    healings = metric("kvm_healings_total", **labels)
    assert healings is not None
    device.hang("tinypilot-relay")
    wait_until(
        lambda: metric("kvm_healings_total", **labels) == healings + 1, "the healing is counted"
    )


def test_what_the_machine_does_not_tell_has_no_series(device: Device, metric: Metrics):
    """A container is no Pi."""
    assert metric("kvm_throttled", condition="under_voltage") is None
    disk = metric("kvm_disk_free_bytes", path="/")
    assert disk and disk <= (metric("kvm_disk_size_bytes", path="/") or 0)


def test_the_certificates_end_is_the_one_that_browsers_see(device: Device, metric: Metrics):
    told = device.sh(
        'date +%s --date="$(openssl x509 -noout -enddate -in /etc/kvm-gateway/tls/server.pem | cut -d= -f2)"'
    )
    wait_until(
        lambda: metric("kvm_certificate_end_timestamp_seconds") == float(told),
        "the supervisor has seen the certificate",
    )


def test_a_stranger_learns_whether_the_device_is_well_and_nothing_else(device: Device):
    wait_until(lambda: Client(device).ask("GET", "/api/health").status_code == 200, "it is well")
    assert Client(device).ask("GET", "/api/health").json() == {"status": "ok"}
    told = Client(device, device.cookie()).ask("GET", "/api/health").json()
    parts = {part["part"]: part["ok"] for part in told["parts"]}
    assert parts["janus.service"] is True
    assert {"picture", "disk /", "certificate", "tinypilot-metrics.service"} <= {*parts}


# --- Prometheus ---


class Prometheus:
    def __init__(self, url: str, log: Path):
        self.url, self._log = url, log

    def ask(self, path: str, **query: str) -> dict:
        """Its answer; {} while it starts: first nothing listens, then it says that it is unavailable."""
        try:
            answer = requests.get(f"{self.url}/api/v1/{path}", params=query, timeout=10)
        except requests.ConnectionError:
            return {}
        return {} if answer.status_code == 503 else answer.json()

    def value(self, expression: str) -> float | None:
        found = self.ask("query", query=expression).get("data", {}).get("result", [])
        return float(found[0]["value"][1]) if found else None

    def targets(self) -> list[dict]:
        return self.ask("targets").get("data", {}).get("activeTargets", [])


def free_port() -> int:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        return listening.getsockname()[1]


@pytest.fixture
def prometheus(device: Device, token: str, tmp_path: Path) -> Iterator[Prometheus]:
    """With this project's configuration and rules, and what an owner fills in: token, authority, address."""
    (tmp_path / "kvm.token").write_text(token)
    authority = requests.get(f"{device.url}ca.pem", verify=False, timeout=10)
    (tmp_path / "kvm-ca.pem").write_text(authority.text)
    (tmp_path / "alerts.yml").write_text((MONITORING / "alerts.yml").read_text())
    name = device.sh("cat /etc/hostname").strip()
    # Known by its address alone here: its certificate is for its names.
    config = (MONITORING / "prometheus.yml").read_text()
    config = config.replace("kvm.example:443", f"{device.address}:443")
    config = config.replace("ca_file:", f"server_name: {name}.local\n      ca_file:")
    config = re.sub(r"_(interval|timeout): 1[05]s", r"_\1: 2s", config)
    (tmp_path / "prometheus.yml").write_text(config)
    port, log = free_port(), tmp_path / "log"
    with log.open("w") as output:
        process = subprocess.Popen(
            [
                "prometheus",
                "--config.file=prometheus.yml",
                "--storage.tsdb.path=data",
                f"--web.listen-address=127.0.0.1:{port}",
            ],
            cwd=tmp_path,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        yield Prometheus(f"http://127.0.0.1:{port}", log)
    finally:
        process.terminate()
        process.wait(20)


def test_prometheus_scrapes_the_device_and_its_rules_raise_what_they_should(
    request: pytest.FixtureRequest, device: Device, prometheus: Prometheus, metric: Metrics
):
    wait_until(
        lambda: [target["health"] for target in prometheus.targets()] == ["up"],
        "Prometheus reads the metrics, over TLS and with the token",
    )
    assert prometheus.value('up{job="kvm"}') == 1
    wait_until(lambda: prometheus.value("kvm_video_ok") == 1, "the picture is proven")
    rules = prometheus.ask("rules")["data"]["groups"][0]["rules"]
    assert {rule["health"] for rule in rules} <= {"ok", "unknown"}
    # Each name that dashboard and rules ask for is one that this device has, but for those of a Pi.
    known = {*prometheus.ask("label/__name__/values")["data"]}
    asked = {
        name
        for file in ("alerts.yml", "dashboard.json")
        for name in re.findall(r"\bkvm_\w+", (MONITORING / file).read_text())
    } - {"kvm_throttled", "kvm_throttled_since_start", "kvm_temperature_celsius"}
    assert asked <= known
    # Nothing else makes a damaged picture.
    request.getfixturevalue("encoder_chip")
    device.control(encoder="damaging")
    wait_until(
        lambda: prometheus.value('ALERTS{alertname="KvmNoPicture"}') == 1,
        "the alert is pending",
        seconds=100,
    )
    device.control()
    wait_until(
        lambda: prometheus.value('ALERTS{alertname="KvmNoPicture"}') is None,
        "the alert is over",
        seconds=60,
    )
