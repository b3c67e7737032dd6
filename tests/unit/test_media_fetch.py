# SPDX-License-Identifier: MIT
"""Images that the device fetches: where it may go, what a server may do to it, and how it goes on."""

import contextlib
import datetime
import hashlib
import http.server
import ipaddress
import json
import lzma
import random
import socket
import ssl
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
import tinypilot
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from tinypilot.media import downloads, fetch
from tinypilot.media.fetch import Place, check_url, is_allowed, own_networks
from tinypilot.media.images import MIB, Images

from .auth_helpers import refused

WHOLE = random.Random(16).randbytes(1_500_000)
SHA256 = hashlib.sha256(WHOLE).hexdigest()
SOURCES = ("images.example", "mirror.example:8443", "*.mirrors.example")


# --- Addresses as they are written ---


@pytest.mark.parametrize(
    ("url", "place"),
    [
        ("https://images.example/a.iso", Place("images.example", 443, "/a.iso")),
        ("https://IMAGES.example:443/a.iso?x=1#y", Place("images.example", 443, "/a.iso?x=1")),
        ("https://images.example.", Place("images.example", 443, "/")),
        ("https://mirror.example:8443/%20", Place("mirror.example", 8443, "/%20")),
        ("https://a.b.mirrors.example/", Place("a.b.mirrors.example", 443, "/")),
    ],
)
def test_an_address_that_is_meant_is_taken(url, place):
    assert check_url(url, SOURCES) == place


@pytest.mark.parametrize(
    "url",
    [
        *(
            "http://images.example/a.iso",
            "ftp://images.example/",
            "file:///etc/shadow",
            "//images.example/",
        ),
        *(
            "images.example/a.iso",
            "",
            None,
            7,
            ["https://images.example/"],
            "https://",
            "https:///a",
        ),
        *("https://images.example/a b", "https://images.example/\n", "https://images.example/\0"),
        *(
            "https://images.example:0x1bb/",
            "https://images.example:99999/",
            "https://images.example:-1/",
        ),
        *("https://ada:secret@images.example/", "https://images.example@evil.example/"),
        *(
            "https://images.example\\@evil.example/",
            "https://im\u00e4ges.example/",
            "https://[::1]/",
        ),
        *("https://[::ffff:127.0.0.1]/", "https://images_example/", "https://-a.example/"),
        "https://images.example/" + "a" * 2000,
    ],
)
def test_what_is_no_plain_https_address_is_refused(url):
    for sources in (SOURCES, ("*",)):
        assert refused(check_url, url, sources).status == 400


@pytest.mark.parametrize(
    "url",
    [
        *(
            "https://evil.example/",
            "https://images.example.evil.example/",
            "https://evilimages.example/",
        ),
        *("https://images.example:8443/", "https://mirror.example/", "https://mirrors.example/"),
        *("https://evilmirrors.example/", "https://127.0.0.1/", "https://2130706433/"),
    ],
)
def test_a_host_that_nobody_has_allowed_is_refused(url):
    refusal = refused(check_url, url, SOURCES)
    assert (refusal.status, "tinypilot_media_sources" in str(refusal)) == (403, True)
    assert refused(check_url, url, ()).status == 403


# --- Where they lead to ---

OWN = [ipaddress.ip_network("203.0.112.0/24"), ipaddress.ip_network("2a00:1:2:3::/64")]
MEANT = (ipaddress.ip_network("192.168.7.0/24"), ipaddress.ip_network("fd12::/16"))


@pytest.mark.parametrize(
    ("address", "may"),
    [
        *((each, True) for each in ("151.101.2.132", "2a04:4e42::644", "64:ff9b::9765:284")),
        # Named.
        *((each, True) for each in ("192.168.7.9", "fd12::1", "::ffff:192.168.7.9")),
        # The device itself.
        *((each, False) for each in ("127.0.0.1", "127.8.8.8", "0.0.0.0", "::1", "::")),
        # Private, link-local (with the clouds' metadata), shared, reserved, multicast.
        *((each, False) for each in ("10.1.2.3", "172.16.0.1", "192.168.8.9", "169.254.169.254")),
        *((each, False) for each in ("100.64.0.1", "198.18.0.1", "240.0.0.1", "255.255.255.255")),
        *((each, False) for each in ("224.0.0.1", "fe80::1", "fe80::1%eth0", "fec0::1", "fc00::1")),
        *((each, False) for each in ("ff02::1", "ff0e::1", "2001:db8::1", "100::1")),
        # The same in disguise: mapped, compatible, NAT64, 6to4, Teredo.
        *((each, False) for each in ("::ffff:127.0.0.1", "::ffff:10.1.2.3", "::127.0.0.1")),
        *((each, False) for each in ("64:ff9b::7f00:1", "64:ff9b::c0a8:809", "64:ff9b:1::1")),
        *((each, False) for each in ("2002:7f00:1::", "2002:c0a8:809::1")),
        ("2001:0:4136:e378:8000:63bf:3f57:fdf6", False),
        # Public, and next to the device all the same.
        *((each, False) for each in ("203.0.112.7", "2a00:1:2:3::9", "64:ff9b::cb00:7007")),
    ],
)
def test_only_public_addresses_outside_and_those_that_are_named_may_be_asked(address, may):
    assert is_allowed(ipaddress.ip_address(address), MEANT, OWN) is may


def test_loopback_is_not_for_naming():
    every = (ipaddress.ip_network("0.0.0.0/0"), ipaddress.ip_network("::/0"))
    for address in (
        "127.0.0.1",
        "::1",
        "::ffff:127.0.0.1",
        "0.0.0.0",
        "224.0.0.1",
        "64:ff9b::7f00:1",
    ):
        assert not is_allowed(ipaddress.ip_address(address), every, [])


def test_the_devices_networks_are_those_without_a_gateway(tmp_path):
    (tmp_path / "route").write_text(
        "Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\tMTU\tWindow\tIRTT\n"
        "eth0\t00000000\t0107A8C0\t0003\t0\t0\t100\t00000000\t0\t0\t0\n"
        "ppp0\t00000000\t00000000\t0001\t0\t0\t200\t00000000\t0\t0\t0\n"
        "eth0\t0007A8C0\t00000000\t0001\t0\t0\t100\t00FFFFFF\t0\t0\t0\n"
        "eth0\t0000000A\t0207A8C0\t0003\t0\t0\t100\t000000FF\t0\t0\t0\n"
    )
    (tmp_path / "ipv6_route").write_text(
        "2a000001000200030000000000000000 40 00000000000000000000000000000000 00 "
        "00000000000000000000000000000000 00000100 00000001 00000000 00000001     eth0\n"
        "00000000000000000000000000000000 00 00000000000000000000000000000000 00 "
        "fe800000000000000000000000000001 00000400 00000001 00000000 00000003     eth0\n"
    )
    assert [str(each) for each in own_networks(tmp_path)] == ["192.168.7.0/24", "2a00:1:2:3::/64"]
    (tmp_path / "ipv6_route").unlink()
    assert len(own_networks(tmp_path)) == 1
    assert all(network.prefixlen for network in own_networks())


def found(*addresses):
    return [(2, 1, 6, "", (address, 443)) for address in addresses]


def test_what_was_checked_is_connected_to_and_nothing_is_looked_up_again(monkeypatch):
    """A name server that answers otherwise the second time."""
    answers = [found("151.101.2.132", "192.168.8.9"), found("127.0.0.1")]
    monkeypatch.setattr(fetch, "own_networks", list)
    monkeypatch.setattr(fetch.socket, "getaddrinfo", lambda *_, **__: answers.pop(0))
    connected = []

    def create_connection(address, _):
        connected.append(address)
        raise OSError(113, "No route to host")

    monkeypatch.setattr(fetch.socket, "create_connection", create_connection)
    refusal = refused(fetch.connect, Place("images.example", 443, "/"), ())
    assert connected == [("151.101.2.132", 443)] and len(answers) == 1
    assert str(refusal) == "images.example does not answer as it should: No route to host."


@pytest.mark.parametrize(
    "address", ["127.0.0.1", "192.168.1.1", "169.254.169.254", "::1", "fe80::1"]
)
def test_a_name_that_leads_into_the_device_or_its_network_is_refused(monkeypatch, address):
    monkeypatch.setattr(fetch.socket, "getaddrinfo", lambda *_, **__: found(address))
    monkeypatch.setattr(fetch.socket, "create_connection", None)
    refusal = refused(fetch.connect, Place("images.example", 443, "/"), ())
    assert (refusal.status, "no public address" in str(refusal)) == (403, True)


def test_numbers_that_the_resolver_takes_for_addresses_lead_nowhere_else():
    for host in ("2130706433", "127.1", "0x7f.1", "017700000001"):
        assert refused(fetch.connect, Place(host, 443, "/"), ()).status in (403, 502)


def test_a_name_that_nobody_knows_is_said():
    refusal = refused(fetch.connect, Place("nobody.invalid", 443, "/"), ())
    assert (refusal.status, "nobody.invalid can't be found" in str(refusal)) == (502, True)


# --- The server ---

# What systemd runs for each connection. The tests' server is on this machine.
PROGRAM = (
    "from tinypilot.media import fetch; fetch.is_allowed = lambda *_: True; {more}; fetch.main()"
)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.UTC)
    built = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    file = tmp_path_factory.mktemp("certificate") / "server.pem"
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    file.write_bytes(private + built.public_bytes(serialization.Encoding.PEM))
    return file


@pytest.fixture
def server(certificate):
    """files: what is served; do: for a path, what else becomes of a request; asked: their paths and ranges."""
    told = SimpleNamespace(files={"/a.iso": WHOLE}, do={}, asked=[], version='"1"')

    class Handler(http.server.BaseHTTPRequestHandler):
        def log_message(self, *_):
            pass

        def do_GET(self):
            told.asked.append((self.path, self.headers.get("Range"), self.headers.get("If-Range")))
            if act := told.do.get(self.path):
                act(self)
            else:
                self.serve()

        def serve(self, most=None, **headers):
            whole = told.files[self.path]
            first = 0
            if self.headers.get("If-Range", told.version) == told.version:
                first = int((self.headers.get("Range") or "bytes=0-")[6:-1])
            self.send_response(206 if first else 200)
            if first:
                self.send_header("Content-Range", f"bytes {first}-{len(whole) - 1}/{len(whole)}")
            sent = {"Content_Length": len(whole) - first, "ETag": told.version, **headers}
            for name, value in sent.items():
                if value is not None:
                    self.send_header(name.replace("_", "-"), str(value))
            self.end_headers()
            self.wfile.write(whole[first:] if most is None else whole[first : first + most])

        def redirect(self, target):
            self.send_response(302)
            self.send_header("Location", target)
            self.end_headers()

    class Server(http.server.ThreadingHTTPServer):
        def handle_error(self, *_):
            """Of a client that left, or a server that was told to break."""

    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate)
    listening = Server(("127.0.0.1", 0), Handler)
    listening.socket = context.wrap_socket(listening.socket, server_side=True)
    thread = threading.Thread(target=listening.serve_forever)
    thread.start()
    told.host = f"localhost:{listening.server_port}"
    told.url = f"https://{told.host}/a.iso"
    yield told
    listening.shutdown()
    thread.join()
    listening.server_close()


@pytest.fixture
def fetching(config, server, certificate, tmp_path):
    """systemd, which starts the program for each connection. Its `more` is run before."""
    settings = tmp_path / "web.json"
    values = {"media_sources": [server.host], "media_source_networks": ["127.0.0.0/8"]}
    settings.write_text(json.dumps(values))
    environment = {
        "TINYPILOT_CONFIG": str(settings),
        "SSL_CERT_FILE": str(certificate),
        "PYTHONPATH": str(Path(tinypilot.__file__).parents[1]),
    }
    told = SimpleNamespace(more="pass", certificate=certificate, environment=environment)
    listening = socket.socket(socket.AF_UNIX)
    listening.bind(str(config.media_fetch_socket))
    listening.listen()
    running = []

    def serve():
        with contextlib.suppress(OSError):
            while True:
                connection, _ = listening.accept()
                with connection:
                    running.append(
                        subprocess.Popen(
                            [sys.executable, "-c", PROGRAM.format(more=told.more)],
                            stdin=connection,
                            stdout=connection,
                            stderr=subprocess.DEVNULL,
                            env=environment,
                        )
                    )

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    yield told
    listening.shutdown(socket.SHUT_RDWR)
    thread.join()
    listening.close()
    for each in running:
        each.kill()
        each.wait()


@pytest.fixture
def admin(media_service, fetching, logged_in):
    return logged_in("admin")


def begin(admin, url, **more):
    return admin.ask("POST", "/api/media/downloads", {"url": url, **more})


def wait_for(admin, wanted):
    """What the device tells, as soon as that is so."""
    deadline = time.monotonic() + 60
    while not wanted(told := admin.ask("GET", "/api/media").get_json()):
        assert time.monotonic() < deadline, told
        time.sleep(0.02)
    return told


def has_arrived(told):
    return told["images"] and not told["downloads"]


def test_an_image_is_fetched_with_its_checksum(admin, server, config, audited):
    server.files["/a.iso?token=secret"] = WHOLE
    answer = begin(admin, f"{server.url}?token=secret", sha256=SHA256)
    assert answer.get_json() == {
        **{"name": "a.iso", "image": "a.iso", "size": len(WHOLE), "offset": 0, "sha256": ""}
    }
    told = wait_for(admin, has_arrived)
    assert told["images"] == [{"name": "a.iso", "size": len(WHOLE), "sha256": SHA256}]
    assert (config.media_dir / "images/a.iso").read_bytes() == WHOLE
    assert told["uploads"] == []
    assert [event for event, _ in audited if event.startswith("media")] == [
        *("media_download", "media_arrived")
    ]
    assert "secret" not in str(audited)


def test_what_is_compressed_is_unpacked_while_it_is_fetched(admin, server, config):
    server.files["/b.iso.xz"] = lzma.compress(WHOLE)
    begin(admin, f"https://{server.host}/b.iso.xz")
    told = wait_for(admin, has_arrived)
    assert told["images"] == [{"name": "b.iso", "size": len(WHOLE), "sha256": SHA256}]


def test_a_server_that_breaks_off_is_asked_for_the_rest(admin, server, monkeypatch):
    monkeypatch.setattr(downloads, "PROGRESS_BYTES", 200_000)
    monkeypatch.setattr(downloads, "PAUSES_SECONDS", ())
    server.do["/a.iso"] = lambda handler: handler.serve(most=200_000)
    begin(admin, server.url)
    told = wait_for(admin, has_arrived)
    assert told["images"][0]["sha256"] == SHA256
    assert server.asked[1][1:] == ("bytes=200000-", '"1"') and len(server.asked) == 8


def test_a_server_that_sends_next_to_nothing_each_time_is_left(admin, server, monkeypatch):
    monkeypatch.setattr(downloads, "PAUSES_SECONDS", (0,) * 3)
    server.do["/a.iso"] = lambda handler: handler.serve(most=10)
    begin(admin, server.url)
    told = wait_for(admin, lambda told: told["downloads"] and told["downloads"][0]["problem"])
    assert "again and again" in told["downloads"][0]["problem"] and len(server.asked) == 4
    assert told["uploads"][0]["offset"] == 40


def test_a_file_that_has_changed_is_not_mixed_with_the_old_one(admin, server, monkeypatch):
    monkeypatch.setattr(downloads, "PAUSES_SECONDS", (0,) * 3)

    def change(handler):
        handler.serve(most=200_000)
        server.version = '"2"'

    server.do["/a.iso"] = change
    begin(admin, server.url)
    told = wait_for(admin, lambda told: told["downloads"] and told["downloads"][0]["problem"])
    assert "has another one now" in told["downloads"][0]["problem"]
    assert told["uploads"] == [{"name": "a.iso", "size": len(WHOLE), "offset": 200_000}]
    assert admin.ask("DELETE", "/api/media/uploads/a.iso").status_code == 200
    del server.do["/a.iso"]
    begin(admin, server.url)
    assert wait_for(admin, has_arrived)["images"][0]["sha256"] == SHA256


def test_what_did_not_arrive_as_it_should_is_told_and_deleted(admin, server):
    begin(admin, server.url, sha256="0" * 64)
    told = wait_for(admin, lambda told: told["downloads"] and told["downloads"][0]["problem"])
    assert SHA256 in told["downloads"][0]["problem"]
    assert told["downloads"][0]["url"] == server.url
    assert told["images"] == told["uploads"] == []
    assert admin.ask("DELETE", "/api/media/uploads/a.iso").status_code == 200
    assert admin.ask("GET", "/api/media").get_json()["downloads"] == []


def test_what_ended_goes_on_by_its_name(admin, server, monkeypatch):
    monkeypatch.setattr(downloads, "PAUSES_SECONDS", ())
    server.do["/a.iso"] = lambda handler: handler.serve(
        most=0 if handler.headers.get("Range") else 200_000
    )
    begin(admin, server.url)
    told = wait_for(admin, lambda told: told["downloads"] and told["downloads"][0]["problem"])
    assert told["uploads"][0]["offset"] == 200_000
    del server.do["/a.iso"]
    assert begin(admin, "", name="a.iso").get_json()["offset"] == 200_000
    assert wait_for(admin, has_arrived)["images"][0]["sha256"] == SHA256


@pytest.mark.usefixtures("fetching")
def test_a_restart_of_the_service_is_gone_on_from(config, server, logged_in, request):
    config.media_dir.mkdir()
    before = Images(config.media_dir, 64 * MIB, MIB)
    before.begin("a.iso", len(WHOLE), url=server.url, version='"1"').append(WHOLE[:300_000])
    request.getfixturevalue("media_service")
    told = wait_for(logged_in("admin"), has_arrived)
    assert told["images"][0]["sha256"] == SHA256
    assert server.asked == [("/a.iso", "bytes=300000-", '"1"')]


@pytest.mark.parametrize(
    ("act", "status", "said"),
    [
        (lambda handler: handler.redirect("https://evil.example/"), 403, "tinypilot_media_sources"),
        (lambda handler: handler.redirect("https://127.0.0.1/a"), 403, "tinypilot_media_sources"),
        (lambda handler: handler.redirect("http://localhost/a.iso"), 400, "must be https://"),
        (lambda handler: handler.redirect("file:///etc/passwd"), 400, "must be https://"),
        (lambda handler: handler.redirect("https://["), 400, "must be https://"),
        (lambda handler: handler.redirect("//[::1/a.iso"), 400, "must be https://"),
        (lambda handler: handler.redirect(handler.path), 502, "on and on"),
        (lambda handler: handler.send_error(404), 502, "answers with HTTP 404"),
        (lambda handler: handler.serve(Content_Length=None), 502, "how large"),
        (lambda handler: handler.serve(Content_Length="-5"), 502, "how large"),
        (lambda handler: handler.serve(Content_Encoding="gzip"), 502, "has encoded it"),
        (lambda handler: handler.serve(Content_Length=2**63), 400, "whole number of bytes"),
        (lambda handler: handler.serve(Content_Length=10**30), 400, "whole number of bytes"),
        (lambda handler: handler.serve(Content_Length=0), 400, "whole number of bytes"),
        (lambda handler: handler.wfile.write(b"HTTP/1.1 " + b"a" * 70000), 502, "as it should"),
        (lambda handler: handler.wfile.write(b"SSH-2.0\r\n"), 502, "as it should"),
        (lambda handler: handler.wfile.write(b""), 502, "as it should"),
    ],
)
def test_what_a_server_may_not_do_is_refused_in_a_sentence(admin, server, act, status, said):
    server.do["/a.iso"] = act
    answer = begin(admin, server.url)
    assert (answer.status_code, said in answer.get_json()["error"]) == (status, True), (
        answer.get_json()
    )
    told = admin.ask("GET", "/api/media").get_json()
    assert told["uploads"] == told["downloads"] == told["images"] == []


def test_a_redirect_within_what_is_allowed_is_followed(admin, server):
    server.do["/latest.iso"] = lambda handler: handler.redirect("/a.iso")
    begin(admin, f"https://{server.host}/latest.iso")
    assert wait_for(admin, has_arrived)["images"][0]["name"] == "latest.iso"


def test_a_certificate_that_nobody_vouches_for_is_refused(admin, server, fetching):
    fetching.environment["SSL_CERT_FILE"] = "/dev/null"
    answer = begin(admin, server.url)
    assert (answer.status_code, "self-signed" in answer.get_json()["error"]) == (502, True)
    assert server.asked == []


def test_a_server_that_does_not_begin_is_left(admin, server, fetching):
    fetching.more = "fetch.HEAD_SECONDS = 1"
    silent = threading.Event()
    server.do["/a.iso"] = lambda _: silent.wait(30)
    answer = begin(admin, server.url)
    silent.set()
    assert (answer.status_code, answer.get_json()["error"][-1]) == (502, ".")


def test_a_server_that_drips_is_left_and_asked_for_the_rest(admin, server, fetching, monkeypatch):
    monkeypatch.setattr(downloads, "PAUSES_SECONDS", (0,) * 3)
    fetching.more = "fetch.PACE_SECONDS = 0.2"

    def drip(handler):
        if handler.headers.get("Range"):
            handler.serve()
            return
        handler.serve(most=1000)
        # To the end of the connection, which the device makes.
        for byte in WHOLE[1000:]:
            handler.wfile.write(bytes([byte]))
            time.sleep(0.05)

    server.do["/a.iso"] = drip
    begin(admin, server.url)
    told = wait_for(admin, has_arrived)
    assert told["images"][0]["sha256"] == SHA256


def test_the_same_is_not_fetched_twice_and_an_upload_not_mixed_in(admin, server):
    go = threading.Event()

    def wait(handler):
        handler.serve(most=1000)
        go.wait(30)

    server.do["/a.iso"] = wait
    assert begin(admin, server.url).status_code == 200
    assert "fetched already" in begin(admin, server.url).get_json()["error"]
    answer = admin.ask("POST", "/api/media/uploads", {"name": "a.iso", "size": len(WHOLE)})
    assert (answer.status_code, "Another file" in answer.get_json()["error"]) == (409, True)
    assert admin.ask("DELETE", "/api/media/uploads/a.iso").status_code == 200
    go.set()
    told = admin.ask("GET", "/api/media").get_json()
    assert told["uploads"] == told["downloads"] == told["images"] == []


@pytest.mark.parametrize(
    "asked",
    [
        {},
        {"url": ""},
        {"url": 7},
        {"url": "https://localhost/"},
        {"url": "https://["},
        {"url": "https://[", "name": "a.iso"},
        {"url": "https://localhost/a.iso", "name": "../a"},
        {"url": "https://localhost/%2e%2e%2fa.iso"},
        {"url": "https://localhost/a.iso", "more": 1},
        {"url": "https://localhost/" + "a" * 5000, "name": "a.iso"},
        {"url": "https://localhost/" + "日" * 1500, "name": "a.iso"},
        *({"url": "https://localhost/a.iso", "name": name} for name in (None, False, [], 0)),
    ],
)
def test_wrong_requests_are_refused(admin, asked):
    answer = admin.ask("POST", "/api/media/downloads", asked)
    assert (answer.status_code, answer.get_json()["error"][-1]) == (400, ".")


@pytest.mark.parametrize("sha256", [None, False, [], 0])
def test_a_checksum_that_is_none_is_not_left_out(admin, server, sha256):
    answer = begin(admin, server.url, sha256=sha256)
    assert (answer.status_code, "64 hexadecimal" in answer.get_json()["error"]) == (400, True)


def test_a_file_whose_name_is_written_in_parts_has_the_usual_one(admin, server):
    """As macOS writes it: the letter, and then its accent."""
    server.files["/e%CC%81.iso"] = WHOLE
    answer = begin(admin, f"https://{server.host}/e%CC%81.iso")
    assert (answer.status_code, answer.get_json().get("name")) == (200, "é.iso")


def test_a_device_that_fetches_nothing_says_so(media_service, logged_in):
    answer = begin(logged_in("admin"), "https://images.example/a.iso")
    assert (answer.status_code, "fetches no images" in answer.get_json()["error"]) == (403, True)
