# SPDX-License-Identifier: MIT
"""The programs of the tinypilot role, without nginx, with a clock that tests can set."""

import asyncio
import base64
import contextlib
import copy
import functools
import json
import socket
import socketserver
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml
from aiohttp import web
from jinja2 import Template
from tinypilot import audit
from tinypilot.app import create_app
from tinypilot.auth import passwords, store
from tinypilot.auth.auth import Auth
from tinypilot.auth.sessions import ClientInfo
from tinypilot.auth.store import make_database
from tinypilot.config import Config
from tinypilot.media import images as media_images
from tinypilot.media.drives import Drives
from tinypilot.media.images import MIB, Images
from tinypilot.media.server import Media
from tinypilot.monitoring.health import Informant
from tinypilot.settings import apply
from tinypilot.settings.model import Settings

ROLES = Path(__file__).parents[2] / "roles"
HOST = "kvm.example"
PASSWORD = "correct horse battery"


class Clock:
    """now: what the device's clock says. uptime: the seconds since its start, which nobody can set."""

    def __init__(self):
        self.now = 1_800_000_000.0
        self.uptime = 1000.0

    def time(self):
        return self.now

    def monotonic(self):
        return self.uptime

    def pass_by(self, seconds):
        self.now += seconds
        self.uptime += seconds

    def set_by(self, seconds):
        """Somebody sets it: by hand, or a time server."""
        self.now += seconds

    def start_again(self, seconds):
        """The device is off for so long, with a clock that runs on."""
        self.now += seconds
        self.uptime = 10.0


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr("time.time", clock.time)
    # Not everybody's: event loops live by it.
    monkeypatch.setattr(
        store,
        "time",
        SimpleNamespace(time=clock.time, monotonic=clock.monotonic, sleep=time.sleep),
    )
    return clock


@pytest.fixture
def next_start(clock, monkeypatch, config):
    """Another start of the device, so many seconds later by its clock: next_start(60) is Auth then."""

    def start(seconds):
        clock.start_again(seconds)
        monkeypatch.setenv("TINYPILOT_BOOT", f"{clock.now}")
        return Auth.from_config(config)

    return start


@pytest.fixture(autouse=True)
def cheap_hashes(monkeypatch):
    monkeypatch.setattr(passwords, "LOG_N", 4)
    monkeypatch.setattr(passwords, "P", 1)


@pytest.fixture(autouse=True)
def audited(monkeypatch):
    """What was written to the audit log: a list of (event, everything else)."""
    notes = []
    monkeypatch.setattr(
        audit,
        "note",
        lambda event, sentence, **facts: notes.append((event, {"sentence": sentence, **facts})),
    )
    return notes


WELL = {
    "signal": {"state": "present", "sends": None, "takes": None, "least": None},
    "has_signal": True,
    "troubles": {"janus.service": ""},
    "units": {"janus.service": True},
    "is_picture_proven": True,
    "disks": {"/": {"free_bytes": 2**30, "size_bytes": 2**32, "is_read_only": False}},
    "certificate_ends": 1_900_000_000.0,
}


@pytest.fixture(autouse=True)
def facts(monkeypatch):
    """What the web app is told of the device, which a test may change."""
    told = copy.deepcopy(WELL)
    monkeypatch.setattr(Informant, "_ask", lambda self: told)
    return told


@pytest.fixture
def config(tmp_path):
    declarations, state = tmp_path / "declarations", tmp_path / "state"
    declarations.mkdir()
    state.mkdir()
    declared_by_roles = {
        **declared_by_ustreamer(tmp_path),
        **declared_by_tinypilot(),
        **declared_by_gateway(),
    }
    for name, declared in declared_by_roles.items():
        (declarations / f"{name}.json").write_text(json.dumps(declared))
    return Config(
        name="rack <3>",
        auth_file=state / "auth.sqlite3",
        settings_declarations=declarations,
        settings_dir=tmp_path,
        settings_socket=tmp_path / "apply.sock",
        media_dir=tmp_path / "media",
        media_drives=tmp_path / "drives",
        media_socket=tmp_path / "media.sock",
        media_fetch_socket=tmp_path / "fetch.sock",
        media_max_mib=64,
        media_free_mib=1,
        device_test_socket=tmp_path / "device-test.sock",
        hid_socket=tmp_path / "hid.sock",
        ustreamer_socket=tmp_path / "ustreamer.sock",
    )


@functools.cache
def parsed(path):
    return yaml.safe_load((ROLES / path).read_text())


def role_file(path):
    """A file of a role, parsed once for all tests; each may change what it gets."""
    return copy.deepcopy(parsed(path))


def declared_by_ustreamer(folder):
    """What the role lays down, with its own bounds."""
    variables = role_file("ustreamer/vars/main/main.yml")
    defaults = role_file("ustreamer/defaults/main.yml")
    video, edid = variables["__ustreamer_settings"], variables["__ustreamer_edid_settings"]
    return {
        "ustreamer": {
            **video,
            "environment_file": str(folder / "ustreamer.env"),
            "defaults": {name: defaults[name] for name in video["defaults"]},
            "fixed": [],
        },
        "edid": {
            **edid,
            "check": [sys.executable, str(ROLES / "ustreamer/files/edid.py"), "refusal"],
            "most_pixels_per_second": 121_500_000,
            "most_encoded_pixels": 1920,
            "environment_file": str(folder / "edid.env"),
            "defaults": {"ustreamer_edid": "00ffffffffffff00" + "0" * 240},
        },
    }


def declared_by_tinypilot():
    variables = role_file("tinypilot/vars/main.yml")
    defaults = role_file("tinypilot/defaults/main.yml")
    declared = variables["__tinypilot_settings"]
    urls = declared["settings"]["tinypilot_ice_servers"]["schema"]["items"]
    urls["pattern"] = Template(urls["pattern"]).render(variables)
    return {
        "tinypilot": {
            **declared,
            "fixed": [],
            "defaults": {name: defaults[name] for name in declared["defaults"]},
        },
    }


def declared_by_gateway():
    variables = role_file("gateway/vars/main.yml")
    return {"certificate": {**variables["__gateway_certificate_settings"], "fixed": []}}


@pytest.fixture
def auth(config, clock):
    make_database(config.auth_file)
    return Auth.from_config(config)


@pytest.fixture
def client_info():
    """Makes clients: client_info("192.0.2.1")."""
    return ClientInfo


@pytest.fixture
def ada(auth):
    """The first user, an admin. Returns the tokens that her browser has."""
    return auth.set_up(auth.new_setup_code(), "ada", PASSWORD, ClientInfo("192.0.2.1"))


@pytest.fixture
def admin(auth, ada):
    return auth.session_for(ada.session)


@pytest.fixture
def bob(auth, admin, client_info):
    auth.users.add("bob", "operator", PASSWORD, admin)
    return auth.log_in("bob", PASSWORD, "", client_info("192.0.2.2"))


@pytest.fixture
def any_cost(monkeypatch):
    """The hashes of these tests are cheap."""
    monkeypatch.setattr(passwords, "LOWEST_LOG_N", 1)


class Browser:
    """A client of the web app as a browser is one: it keeps cookies, and names the page's origin."""

    def __init__(self, app, address):
        self.client = app.test_client()
        self.session_cookie = app.extensions["auth"].session_cookie
        self.address = address
        self.csrf = ""

    def ask(self, method, path, json=None, **options):
        headers = {
            "Origin": f"https://{HOST}",
            "X-Forwarded-For": self.address,
            "X-CSRF-Token": self.csrf,
            **options.pop("headers", {}),
        }
        headers = {name: value for name, value in headers.items() if value is not None}
        return self.client.open(
            path, method=method, json=json, base_url=f"https://{HOST}", headers=headers, **options
        )

    def log_in(self, name, password=PASSWORD, code=""):
        answer = self.ask("POST", "/api/login", {"name": name, "password": password, "code": code})
        self.csrf = self.ask("GET", "/api/session").get_json().get("csrf", "")
        return answer

    def has(self, token):
        """Gets a session that was made elsewhere."""
        self.client.set_cookie(self.session_cookie, token, domain=HOST, secure=True)
        self.csrf = self.ask("GET", "/api/session").get_json().get("csrf", "")
        return self

    @property
    def token(self):
        return self.client.get_cookie(self.session_cookie, domain=HOST).value


@pytest.fixture
def app(config, auth):
    return create_app(config)


@pytest.fixture
def browser(app):
    """Makes browsers that know nothing: browser("192.0.2.1")."""
    return lambda address="192.0.2.1": Browser(app, address)


@pytest.fixture
def logged_in(app, auth):
    """Makes browsers with a session: logged_in("admin")."""

    def make(role="viewer"):
        if role == "admin" and not auth.users.exist():
            tokens = auth.set_up(auth.new_setup_code(), "ada", PASSWORD, ClientInfo("192.0.2.1"))
            return Browser(app, "192.0.2.1").has(tokens.session)
        return Browser(app, "192.0.2.1").has(auth.sessions.create_for_provisioning(role, 3600))

    return make


SERVICES = ["janus.service"]
LOG_UNITS = ["gateway-*"]


class Systemd:
    """Units that run, and do not with an environment that has one of the `poisons`."""

    def __init__(self, folder):
        self.folder = folder
        self.restarts = []
        self.commands = []  # what was asked for after an answer
        self.stopped = set()
        self.poisons = set()
        # systemd itself restarts a service that ends: it is active each time that somebody looks.
        self.revives = set()
        self.looks = 0

    def __call__(self, *arguments):
        unit = arguments[-1]
        if "restart" in arguments:
            self.restarts.append(unit)
        if "--property=ActiveState" in arguments:
            if unit in self.stopped:
                return "inactive"
            return "activating" if self.is_poisoned() else "active"
        self.looks += 1
        revived = self.looks if any(line in self.environment() for line in self.revives) else 0
        return str(100 + len(self.restarts) + revived)

    def is_poisoned(self):
        return any(poison in self.environment() for poison in self.poisons)

    def environment(self):
        file = self.folder / "ustreamer.env"
        return file.read_text().splitlines() if file.exists() else []


@pytest.fixture
def systemd(monkeypatch, tmp_path):
    systemd = Systemd(tmp_path)
    monkeypatch.setattr(apply, "_systemctl", systemd)
    monkeypatch.setattr(apply, "_journal", lambda units: f"{' '.join(units)} came up\n")
    monkeypatch.setattr(apply, "LOOK_SECONDS", 0)
    monkeypatch.setattr(apply, "MIN_UPTIME_SECONDS", 0.01)
    return systemd


@pytest.fixture
def applier(config, systemd):
    return apply.Applier(Settings.from_config(config))


@pytest.fixture
def root(config, applier, systemd):
    """What systemd does: a program for each connection to the socket."""
    listening = socket.socket(socket.AF_UNIX)
    listening.bind(str(config.settings_socket))
    listening.listen()

    def serve():
        while True:
            try:
                connection, _ = listening.accept()
            except OSError:
                return
            with connection, connection.makefile("rwb") as lines:
                told, command = apply.answer(applier, SERVICES, lines.readline(), LOG_UNITS)
                systemd.commands.append(command)
                lines.write(json.dumps(told).encode() + b"\n")

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    yield applier
    listening.shutdown(socket.SHUT_RDWR)
    thread.join()
    listening.close()


@pytest.fixture
def luns(config):
    """A CD-ROM and a disk, as usb-gadget makes them, of plain files: nothing reads what is put in."""
    for number, cdrom in enumerate("10"):
        lun = config.media_drives / f"lun.{number}"
        lun.mkdir(parents=True)
        for name, value in {"cdrom": cdrom, "ro": "1", "file": "", "forced_eject": ""}.items():
            (lun / name).write_text(value)
    return config.media_drives


@pytest.fixture
def media_service(config, luns, tmp_path, monkeypatch):
    """The service, on its socket, in a thread of its own. Debian's dosfstools need not be on the workstation."""
    monkeypatch.setattr(media_images, "_format", lambda _: None)
    config.media_dir.mkdir(exist_ok=True)
    images = Images(config.media_dir, config.media_max_mib * MIB, config.media_free_mib * MIB)
    drives = Drives(luns, tmp_path / "controllers")
    media = Media(images, drives, config.media_fetch_socket)
    loop = asyncio.new_event_loop()
    runner = web.AppRunner(media.application())
    loop.run_until_complete(runner.setup())
    loop.run_until_complete(web.UnixSite(runner, str(config.media_socket)).start())
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    yield media
    asyncio.run_coroutine_threadsafe(runner.cleanup(), loop).result(10)
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()


# What is measured of a device (doctor/measure.py).
FIGURES = {
    "watched": False,
    "encoder": {
        "kind": "software",
        "sizes": [
            {"width": 640, "height": 480, "frames_per_second": 210.4, "frame_ms": 4.75},
            {"width": 1920, "height": 1080, "frames_per_second": 24.9, "frame_ms": 40.16},
        ],
    },
    "stream": {"is_there": True, "frames": 60, "frames_per_second": 29.9, "frame_ms": 9.1},
    "capture": {
        "signal": {"state": "present"},
        "source": {
            "online": True,
            "captured_fps": 30,
            "resolution": {"width": 1280, "height": 720},
        },
    },
    "disk": {"free_bytes": 2**30, "mib_per_second": 14.2, "sync_ms": 6.0},
    "ports": {
        "tcp": {"22": "root", "443": "root"},
        "udp": {"5353": "avahi", "20000": "janus"},
        "https_port": 443,
        "rtp_ports": [20000, 20003],
        "rtp_user": "janus",
    },
    "usb": "connected",
    "frame_rate_limit": 0,
    "at": 1_800_000_000.0,
}


@pytest.fixture
def measuring(config):
    """systemd, with a program for each connection. answers: what it says; it waits for `go`."""
    told = SimpleNamespace(answers=[json.dumps(FIGURES)] * 9, go=threading.Event(), asked=0)
    told.go.set()
    listening = socket.socket(socket.AF_UNIX)
    listening.bind(str(config.device_test_socket))
    listening.listen()

    def serve():
        with contextlib.suppress(OSError):
            while True:
                connection, _ = listening.accept()
                with connection:
                    told.asked += 1
                    told.go.wait(20)
                    connection.sendall(told.answers.pop(0).encode() + b"\n")

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    yield told
    listening.shutdown(socket.SHUT_RDWR)
    thread.join()
    listening.close()


@contextlib.contextmanager
def serving_http(path, answer):
    """HTTP at a unix socket: answer(handler) writes."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            with contextlib.suppress(OSError):
                answer(self)

        do_POST = do_GET

        def address_string(self):
            return "the test"

        def log_message(self, *_):
            pass

    class Service(socketserver.ThreadingUnixStreamServer):
        daemon_threads = True

    with Service(str(path), Handler) as service:
        thread = threading.Thread(target=service.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield
        service.shutdown()
        thread.join()


@pytest.fixture
def hid_service(config):
    """The HID service. asked: what for; refusal: the status and what it says of all, refusals: of the next actions of a
    type; holds: types of which it answers none while `go` is not set."""
    told = SimpleNamespace(
        asked=[], refusal=None, refusals={}, holds=(), go=threading.Event(), ended=threading.Event()
    )

    def answer(handler):
        request = json.loads(handler.rfile.read(int(handler.headers["Content-Length"])))
        told.asked.append(request)
        action = request["action"]
        kind = action["type"]
        handler.connection.settimeout(0.01)
        while kind in told.holds and not told.go.is_set():
            with contextlib.suppress(TimeoutError):
                if handler.connection.recv(1) == b"":
                    told.ended.set()
                    return
        state = {"owner": None, "is_own": False, "is_idle": False, "usb": "connected"}
        typed = {"typed": len(action.get("text", ""))}
        found = told.refusal or (200, {"state": state, "text": typed}.get(kind, {}))
        if told.refusals.get(kind):
            found = told.refusals[kind].pop()
        data = json.dumps(found[1]).encode()
        handler.send_response(found[0])
        handler.send_header("Content-Length", str(len(data)))
        handler.end_headers()
        handler.wfile.write(data)

    with serving_http(config.hid_socket, answer):
        yield told


# 16 x 16 pixels of one red.
RED_JPEG = base64.b64decode(
    "/9j/4AAQSkZJRgABAQAAAQABAAD/2wBDAAMCAgMCAgMDAwMEAwMEBQgFBQQEBQoHBwYIDAoMDAsKCwsNDhIQDQ4RDgsLEBYQERMU"
    "FRUVDA8XGBYUGBIUFRT/2wBDAQMEBAUEBQkFBQkUDQsNFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQU"
    "FBQUFBQUFBT/wAARCAAQABADAREAAhEBAxEB/8QAHwAAAQUBAQEBAQEAAAAAAAAAAAECAwQFBgcICQoL/8QAtRAAAgEDAwIEAwUF"
    "BAQAAAF9AQIDAAQRBRIhMUEGE1FhByJxFDKBkaEII0KxwRVS0fAkM2JyggkKFhcYGRolJicoKSo0NTY3ODk6Q0RFRkdISUpTVFVW"
    "V1hZWmNkZWZnaGlqc3R1dnd4eXqDhIWGh4iJipKTlJWWl5iZmqKjpKWmp6ipqrKztLW2t7i5usLDxMXGx8jJytLT1NXW19jZ2uHi"
    "4+Tl5ufo6erx8vP09fb3+Pn6/8QAHwEAAwEBAQEBAQEBAQAAAAAAAAECAwQFBgcICQoL/8QAtREAAgECBAQDBAcFBAQAAQJ3AAEC"
    "AxEEBSExBhJBUQdhcRMiMoEIFEKRobHBCSMzUvAVYnLRChYkNOEl8RcYGRomJygpKjU2Nzg5OkNERUZHSElKU1RVVldYWVpjZGVm"
    "Z2hpanN0dXZ3eHl6goOEhYaHiImKkpOUlZaXmJmaoqOkpaanqKmqsrO0tba3uLm6wsPExcbHyMnK0tPU1dbX2Nna4uPk5ebn6Onq"
    "8vP09fb3+Pn6/9oADAMBAAIRAxEAPwDwKvzI/uMKACgAoA//2Q=="
)


@pytest.fixture
def ustreamer(config):
    """uStreamer. online: whether there is a picture; frames: what comes then, as (age in seconds, JPEG)."""
    told = SimpleNamespace(online=True, frames=[(0.0, RED_JPEG)])

    def answer(handler):
        handler.send_response(200)
        handler.end_headers()
        if handler.path == "/state":
            state = {"result": {"source": {"online": told.online}}}
            handler.wfile.write(json.dumps(state).encode())
            return
        for age, jpeg in told.frames:
            head = (
                f"--boundary\r\nContent-Length: {len(jpeg)}\r\nX-UStreamer-Latency: {age}\r\n\r\n"
            )
            handler.wfile.write(head.encode() + jpeg + b"\r\n")

    with serving_http(config.ustreamer_socket, answer):
        yield told
