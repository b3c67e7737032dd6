# SPDX-License-Identifier: MIT
"""What a viewer, a stranger or one who has lost the rights can't do, where it takes the whole device. Each bound by
itself is tested in tests/unit: hid, relay, websockets, rights_end, audit."""

from __future__ import annotations

import asyncio
import base64
import concurrent.futures
import contextlib
import functools
import json
import os
import resource
import socket
import ssl
import struct
from collections import Counter
from collections.abc import AsyncIterator, Iterator

import aiohttp
import pytest
import requests

from tests.support.clients import PASSWORD, Client, add_user
from tests.support.device import SERVICES, Device
from tests.support.viewers import Viewer, run
from tests.support.waiting import wait_until

# The device made its certificate itself.
pytestmark = pytest.mark.filterwarnings("ignore:Unverified HTTPS request")

PATHS = ("api/hid", "janus/ws", "api/h264", "api/jpegs")
PLUGIN = "janus.plugin.ustreamer"
MEDIA_PORTS = 64
# worker_connections in nginx.conf
CONNECTIONS = 8192
PATIENCE_SECONDS = 20


@functools.cache
def context() -> ssl.SSLContext:
    any_certificate = ssl.create_default_context()
    any_certificate.check_hostname = False
    any_certificate.verify_mode = ssl.CERT_NONE
    return any_certificate


@contextlib.contextmanager
def raw_socket(device: Device, path: str, cookie: str) -> Iterator[ssl.SSLSocket]:
    """A WebSocket on which any bytes can be sent."""
    with (
        socket.create_connection((device.address, 443), timeout=PATIENCE_SECONDS) as tcp,
        context().wrap_socket(tcp) as tls,
    ):
        lines = [
            f"GET /{path} HTTP/1.1",
            f"Host: {device.address}",
            f"Origin: https://{device.address}",
            f"Cookie: {cookie}",
            "Connection: Upgrade",
            "Upgrade: websocket",
            "Sec-WebSocket-Version: 13",
            f"Sec-WebSocket-Key: {base64.b64encode(os.urandom(16)).decode()}",
        ]
        tls.sendall("\r\n".join([*lines, "", ""]).encode())
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            byte = tls.recv(1)
            assert byte, head
            head += byte
        assert head.startswith(b"HTTP/1.1 101"), head
        yield tls


def last_words(tls: ssl.SSLSocket) -> bytes:
    """All up to the end of the connection."""
    words = b""
    with contextlib.suppress(ConnectionError, ssl.SSLEOFError):
        while part := tls.recv(65536):
            words += part
    return words


@contextlib.contextmanager
def nothing_restarts(device: Device) -> Iterator[None]:
    def processes() -> str:
        return device.sh(f"systemctl show -p MainPID {' '.join(SERVICES)}")

    before = processes()
    yield
    assert processes() == before


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize(
    ("frame", "code"),
    [
        (struct.pack(">BBQI", 0x81, 0xFF, 1 << 30, 0), 1009),
        (struct.pack(">BBQI", 0x02, 0xFF, 1 << 40, 0), 1009),
        (struct.pack(">BB", 0x81, 0x05) + b"hello", 1002),
        (struct.pack(">BBI", 0xC1, 0x85, 0) + b"hello", 1002),
        (struct.pack(">BBI", 0x89, 0x80, 0) * 20_000, 1008),
    ],
    ids=["1 GiB", "1 TiB in pieces", "no mask", "compressed", "pings"],
)
def test_a_frame_that_no_browser_sends_ends_its_connection_alone(
    device: Device, path: str, frame: bytes, code: int
):
    with nothing_restarts(device), raw_socket(device, path, device.cookie()) as tls:
        with contextlib.suppress(ConnectionError, ssl.SSLEOFError):
            tls.sendall(frame)
        words = last_words(tls)
        # Who goes on sending may not hear it: it is over at once.
        assert struct.pack(">BBH", 0x88, 2, code) in words or len(frame) > 10_000


@contextlib.asynccontextmanager
async def signalling(device: Device, cookie: str) -> AsyncIterator[aiohttp.ClientWebSocketResponse]:
    headers = {"Cookie": cookie, "Origin": f"https://{device.address}"}
    async with (
        aiohttp.ClientSession(headers=headers) as http,
        http.ws_connect(device.socket_url, protocols=["janus-protocol"], ssl=False) as viewer,
    ):
        yield viewer


async def ask(viewer: aiohttp.ClientWebSocketResponse, janus: str, **facts) -> dict:
    transaction = os.urandom(8).hex()
    await viewer.send_json({"janus": janus, "transaction": transaction, **facts})
    async with asyncio.timeout(PATIENCE_SECONDS):
        while True:
            told = await viewer.receive_json()
            if told.get("transaction") == transaction and told["janus"] != "ack":
                return told


async def watch(viewer: aiohttp.ClientWebSocketResponse) -> None:
    """Asks for an offer, which takes a media port, if there is one."""
    session = (await ask(viewer, "create"))["data"]["id"]
    attached = await ask(viewer, "attach", session_id=session, plugin=PLUGIN)
    if attached["janus"] == "error":
        return
    handle = {"session_id": session, "handle_id": attached["data"]["id"]}
    asked = {"janus": "message", "transaction": os.urandom(8).hex(), "body": {"request": "watch"}}
    await viewer.send_json({**asked, **handle})


async def is_offered_an_address(viewer: aiohttp.ClientWebSocketResponse) -> bool:
    async with asyncio.timeout(PATIENCE_SECONDS):
        while True:
            told = (await viewer.receive()).data
            if '"candidate:' in told or "a=candidate:" in told:
                return True
            if '"completed":true' in told:
                return False


def test_a_viewer_who_takes_all_media_ports_leaves_one_to_the_next(device: Device):
    greedy, next_one = device.cookie(), device.cookie()

    async def scenario() -> bool:
        async with contextlib.AsyncExitStack() as stack:
            for _ in range(MEDIA_PORTS // 8 + 2):
                viewer = await stack.enter_async_context(signalling(device, greedy))
                for _ in range(8):
                    await watch(viewer)
            viewer = await stack.enter_async_context(signalling(device, next_one))
            await watch(viewer)
            return await is_offered_an_address(viewer)

    assert run(scenario())


def test_one_janus_session_has_no_port_for_each_handle_that_it_asks_for(device: Device):
    async def scenario() -> int:
        attached = 0
        async with signalling(device, device.cookie()) as viewer:
            session = (await ask(viewer, "create"))["data"]["id"]
            with contextlib.suppress(TypeError, ConnectionError):
                for _ in range(80):
                    told = await ask(viewer, "attach", session_id=session, plugin=PLUGIN)
                    attached += told["janus"] == "success"
        return attached

    assert run(scenario()) <= 2


def media_ports(device: Device) -> int:
    return int(device.sh("ss -Huln 'sport >= 20000 and sport <= 20063' | wc -l"))


@pytest.mark.parametrize("transaction", ['"\\u0000"', "1e999"])
def test_no_words_keep_a_picture_alive_that_is_revoked(device: Device, transaction: str):
    """Whatever the viewer makes relay and Janus believe of the session: when it ends its port is free."""
    cookie = device.cookie()
    wait_until(lambda: media_ports(device) == 0, "no picture is left of another test", 60)

    async def scenario() -> None:
        async with Viewer(device.socket_url, cookie) as viewer:
            await viewer.watch()
            await viewer.next_frame(PATIENCE_SECONDS)
            assert media_ports(device) > 0
            number = viewer._session
            with contextlib.suppress(ConnectionError):
                await viewer._socket.send_str(
                    f'{{"janus": "destroy", "session_id": {number}, "transaction": {transaction}}}'
                )
            await asyncio.to_thread(Client(device, cookie).change, "POST", "/api/logout", {})
            # Within the patience of Janus, which would end it by itself a minute later.
            await asyncio.to_thread(
                wait_until, lambda: media_ports(device) == 0, "the picture has ended", 10
            )

    run(scenario())


def test_600_slow_visitors_from_one_address_keep_nobody_out(device: Device):
    async def hold(are_there: asyncio.Semaphore) -> None:
        while True:
            with contextlib.suppress(OSError):
                _, writer = await asyncio.open_connection(device.address, 443, ssl=context())
                are_there.release()
                for letter in f"GET / HTTP/1.1\r\nHost: {device.address}\r\nX: {'x' * 100}":
                    writer.write(letter.encode())
                    await writer.drain()
                    await asyncio.sleep(2)

    async def scenario() -> None:
        are_there = asyncio.Semaphore(0)
        slow = [asyncio.create_task(hold(are_there)) for _ in range(600)]
        async with asyncio.timeout(PATIENCE_SECONDS):
            for _ in range(600):
                await are_there.acquire()
        for _ in range(10):
            answer = await asyncio.to_thread(Client(device).ask, "GET", "/login")
            assert answer.status_code in (200, 303)
        for each in slow:
            each.cancel()

    with nothing_restarts(device):
        run(scenario())


def test_1000_connections_in_a_row_are_answered(device: Device):
    """Each with a handshake of its own, as fast as one address can: none is refused, and nothing restarts."""

    def connect() -> bytes:
        with (
            socket.create_connection((device.address, 443), timeout=PATIENCE_SECONDS) as tcp,
            context().wrap_socket(tcp) as tls,
        ):
            tls.sendall(f"GET /login HTTP/1.0\r\nHost: {device.address}\r\n\r\n".encode())
            return last_words(tls)[:12]

    with nothing_restarts(device), concurrent.futures.ThreadPoolExecutor(8) as threads:
        answers = Counter(threads.map(lambda _: connect(), range(1000)))
    assert answers.keys() <= {b"HTTP/1.1 200", b"HTTP/1.1 303"}


def test_more_connections_than_find_room_leave_those_alone_who_are_in(device: Device, new_screen):
    """Without a header each, from one address: who is new waits until they are gone, and no longer."""
    resource.setrlimit(resource.RLIMIT_NOFILE, 2 * resource.getrlimit(resource.RLIMIT_NOFILE)[1:])
    screen = new_screen(role="operator").open()
    screen.wait_until_live()
    screen.page.locator("#control-ask").click()
    screen.wait_for_control("mine")
    opened_anew: list[str] = []
    screen.page.on("websocket", lambda socket: opened_anew.append(socket.url))
    with nothing_restarts(device), contextlib.ExitStack() as stack:
        for _ in range(CONNECTIONS + 500):
            each = stack.enter_context(socket.socket())
            each.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                each.connect((device.address, 443))
        screen.wait_until_live()
        screen.page.keyboard.press("a")
        screen.wait_for_control("mine")
        assert not opened_anew
    assert wait_until(lambda: Client(device).ask("GET", "/login").ok, "a newcomer is let in")


def lines_of_the_journal(device: Device) -> int:
    return int(device.sh("journalctl --no-pager --since=-60s | wc -l"))


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_who_is_refused_all_the_time_does_not_fill_the_journal(device: Device, scheme: str):
    before = lines_of_the_journal(device)
    with requests.Session() as http:
        for _ in range(300):
            url = f"{scheme}://{device.address}/api/session"
            answer = http.get(url, headers={"Host": "evil.example"}, verify=False)
            assert answer.status_code == 421
    assert lines_of_the_journal(device) - before < 150


def test_a_name_that_is_checked_is_the_one_that_is_handed_on(device: Device):
    def status(target: str, host: str) -> int:
        with (
            socket.create_connection((device.address, 443), timeout=PATIENCE_SECONDS) as tcp,
            context().wrap_socket(tcp) as tls,
        ):
            tls.sendall(
                f"GET {target} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode()
            )
            return int(last_words(tls).split()[1])

    address = device.address
    assert status(f"https://{address}/login", "evil.example") == 421
    assert status("https://evil.example/login", address) == 421
    for host in (address, f"{address}:443"):
        assert status(f"https://{address}/login", host) in (200, 303)
        assert status("/login", host) in (200, 303)


def test_strangers_do_not_block_the_set_up_code(no_users: Device):
    code = no_users.sh("tinypilot setup-code").strip()
    client = Client(no_users)
    wrong = {"code": "AAAA-AAAA-AAAA-AAAA", "name": "eve", "password": PASSWORD}
    statuses = {client.ask("POST", "/api/setup", wrong).status_code for _ in range(60)}
    assert statuses == {401, 429}
    right = {"code": code, "name": "ada", "password": PASSWORD}
    assert client.ask("POST", "/api/setup", right).status_code == 200


def test_what_an_admin_made_ends_with_the_admin(ada: Client, device: Device):
    add_user(ada, "carol", "admin")
    carol = Client(device)
    assert carol.log_in("carol").status_code == 200
    made = carol.change("POST", "/api/tokens", {"name": "probe", "role": "admin"}).json()["token"]
    program = Client(device)

    def status() -> int:
        return program.ask("GET", "/api/users", Authorization=f"Bearer {made}").status_code

    assert status() == 200
    assert ada.change("DELETE", "/api/users/carol").status_code == 200
    assert status() == 401


def test_a_viewer_who_asks_without_end_does_not_stop_keyboard_and_mouse(device: Device):
    """Answers unread, on as many sockets as a session gets, and then by another person."""

    async def flood(http: aiohttp.ClientSession) -> None:
        with contextlib.suppress(aiohttp.ClientError, ConnectionError):
            async with http.ws_connect(
                f"wss://{device.address}/api/hid", ssl=False, headers={"Cookie": viewer}
            ) as hid:
                text = "".join(map(chr, range(0x4E00, 0x4E00 + 20_000)))
                for _ in range(30):
                    await hid.send_json({"type": "check", "layout": "de", "text": text})

    async def scenario() -> None:
        origin = {"Origin": f"https://{device.address}"}
        async with aiohttp.ClientSession(headers=origin) as http:
            floods = [asyncio.create_task(flood(http)) for _ in range(64)]
            async with http.ws_connect(
                f"wss://{device.address}/api/hid", ssl=False, headers={"Cookie": operator}
            ) as hid:
                await hid.send_json({"type": "check", "layout": "de", "text": "x"})
                async with asyncio.timeout(PATIENCE_SECONDS):
                    while json.loads(await hid.receive_str())["type"] != "checked":
                        pass
            await asyncio.gather(*floods)

    viewer, operator = device.cookie("viewer"), device.cookie("operator")
    with nothing_restarts(device):
        run(scenario())
