#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""A viewer without a browser: follows the page's protocol through nginx and decodes what comes.

    viewer.py wss://HOST/janus/ws [--seconds 3] [--certificate SHA256] [--emulated] [--on-device]

Reads the cookie of a session from standard input, as `tinypilot session` prints it; --on-device runs that itself.
Prints one JSON object (see `Report`). Exit code 0: frames were decoded; 1: the chain is broken, and "error"
says where, in a sentence; 69: this machine lacks what a viewer needs, or has it in a state that can't be loaded.

Needs aiortc and aiohttp: from requirements.txt on a workstation, from Debian's packages on a device.
"""

from __future__ import annotations

import argparse
import asyncio
import binascii
import contextlib
import itertools
import json
import logging
import secrets
import ssl
import statistics
import subprocess
import sys
import time
from dataclasses import asdict, dataclass, field

try:
    import aiohttp
    import yarl
    from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription
    from aiortc.exceptions import OperationError
    from aiortc.mediastreams import MediaStreamError
    from aiortc.sdp import candidate_from_sdp
except Exception as missing:  # what is there and broken raises anything
    print(f"This machine can't be a viewer: {missing}", file=sys.stderr)
    sys.exit(69)  # EX_UNAVAILABLE

PLUGIN = "janus.plugin.ustreamer"
NO_PICTURE_YET = 503
# What nginx answers for programs behind it. All else, such as 421 for a name that it does not know, comes from itself
# or from somebody on the way, and says nothing about the picture.
BROKEN_BEHIND_NGINX = (500, 502, 503, 504)
# The page's own rhythm for sending `watch` again.
WATCH_AGAIN_SECONDS = 0.25
KEEPALIVE_SECONDS = 20

# The code in the emulated source's picture: cells of 16x16 pixels in rows of 40, most significant bit first:
# A5, counter (32 bit), CLOCK_REALTIME in microseconds (40 bit), CRC-16 of these ten bytes, three zero bytes.
CELL, COLUMNS, ROWS = 16, 40, 3
CLOCK_BITS = 40


class ChainError(Exception):
    """A link of the chain is broken; the text is a sentence for a person."""


class UnreachableError(ChainError):
    """The viewer has no way to the device, which may be whole."""


def with_one_fmtp_each(sdp: str) -> str:
    """The offer with one line of parameters for each payload type: uStreamer's own plugin writes several before 6.51,
    and aiortc, other than browsers, reads the last alone."""
    lines: list[str] = []
    found: dict[str, int] = {}
    for line in sdp.splitlines():
        key, _, parameters = line.partition(" ")
        if key.startswith("a=fmtp:") and key in found:
            lines[found[key]] += f";{parameters}"
            continue
        if key.startswith("a=fmtp:"):
            found[key] = len(lines)
        lines.append(line)
    return "\r\n".join(lines) + "\r\n"


def crc16(data: bytes) -> int:
    """CRC-16/CCITT-FALSE."""
    return binascii.crc_hqx(data, 0xFFFF)


def read_code(plane: bytes, stride: int) -> tuple[int, int] | None:
    """Counter and wall clock (microseconds modulo 2**40) from a luma plane; None if the checksum is wrong."""
    bits = 0
    for cell in range(ROWS * COLUMNS):
        x, y = cell % COLUMNS * CELL, cell // COLUMNS * CELL
        middle = [plane[(y + dy) * stride + x + dx] for dy in (6, 9) for dx in (6, 9)]
        bits = bits << 1 | (sum(middle) > 4 * 125)
    code = bits.to_bytes(ROWS * COLUMNS // 8, "big")
    if code[0] != 0xA5 or crc16(code[:10]) != int.from_bytes(code[10:12], "big"):
        return None
    return int.from_bytes(code[1:5], "big"), int.from_bytes(code[5:10], "big")


@dataclass
class Report:
    """What a viewer saw. Times in milliseconds; counters, checksums and latency need the emulated source."""

    frames: int = 0
    width: int = 0
    height: int = 0
    fps: float = 0.0
    offers_refused: int = 0
    first_picture_ms: float | None = None
    counter_first: int | None = None
    counter_last: int | None = None
    bad_checksums: int = 0
    packets_lost: int = 0
    latency_ms_p50: float | None = None
    error: str | None = None
    unreachable: bool = False


@dataclass
class Frame:
    """A decoded picture: when it was there (time.time()), its size, and its code (see read_code)."""

    at: float
    width: int
    height: int
    code: tuple[int, int] | None

    def ms_since_capture_of(self, other: Frame) -> float:
        """From that frame's capture until this one was decoded."""
        return ((int(self.at * 1e6) - other.code[1]) % (1 << CLOCK_BITS)) / 1000


@dataclass
class Viewer:
    """One viewer: `async with Viewer(url, cookie) as viewer: frame = await viewer.next_frame(5)`.

    cookie: of a session, as `tinypilot session` prints it.
    certificate: SHA-256 of the server's certificate, as hexadecimal text; without it any is accepted.
    """

    url: str
    cookie: str
    certificate: str | None = None
    offers_refused: int = 0
    answered_at: float = 0.0
    frames: asyncio.Queue = field(default_factory=lambda: asyncio.Queue(maxsize=512))

    async def __aenter__(self):
        self._stack = contextlib.AsyncExitStack()
        try:
            await self._connect()
        except BaseException:
            await self._stack.aclose()
            raise
        return self

    async def __aexit__(self, *_):
        with contextlib.suppress(Exception):
            await self.request("stop")
            await self.send({"janus": "destroy"}, handle=False)
        await self._stack.aclose()

    async def _connect(self):
        if self.certificate:
            tls = aiohttp.Fingerprint(bytes.fromhex(self.certificate.replace(":", "")))
        else:
            tls = ssl.create_default_context()
            tls.check_hostname, tls.verify_mode = False, ssl.CERT_NONE
        # nginx refuses a WebSocket without an Origin header, which each browser sends.
        try:
            origin = yarl.URL(self.url).with_scheme("https").origin()
        except ValueError as error:
            raise UnreachableError(f"{self.url} is no address ({error}).") from error
        if origin.is_default_port():
            # Browsers leave it out, and so do newer versions of yarl.
            origin = origin.with_port(None)
        headers = {"Cookie": self.cookie, "Origin": str(origin)}
        http = await self._stack.enter_async_context(aiohttp.ClientSession(headers=headers))
        try:
            self._socket = await self._stack.enter_async_context(
                http.ws_connect(self.url, protocols=["janus-protocol"], ssl=tls)
            )
        except aiohttp.ServerFingerprintMismatch as error:
            raise UnreachableError(
                f"nginx at {self.url} shows another certificate than the device has: is it the same machine?"
            ) from error
        except aiohttp.WSServerHandshakeError as error:
            if error.status == 401:
                raise ChainError(
                    f"{self.url} refuses the session that this check made (401): `journalctl -u tinypilot "
                    "-u tinypilot-relay` tells why."
                ) from error
            if error.status in BROKEN_BEHIND_NGINX:
                raise ChainError(
                    f"nginx answers {error.status} for {self.url}: Janus' WebSocket is not behind it; "
                    "see `journalctl -u janus -u tinypilot-relay -u nginx`."
                ) from error
            raise UnreachableError(
                f"{self.url} is answered with {error.status}: nginx does not know this name (put it into "
                "gateway_hosts), or something else answers there."
            ) from error
        # ValueError: a name that no name server can be asked for.
        except (TimeoutError, aiohttp.ClientError, OSError, ValueError) as error:
            raise UnreachableError(
                f"nginx can't be reached at {self.url} ({error}): see `systemctl status nginx.socket`."
            ) from error
        self._waiting: dict[str, asyncio.Future] = {}
        self._events: asyncio.Queue = asyncio.Queue()
        self._candidates: asyncio.Queue = asyncio.Queue()
        self._session = self._handle = None
        self._watched = False
        self.offer = ""  # SDP, as the plugin wrote it
        self._peer = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self._stack.push_async_callback(self._peer.close)
        self._peer.on("track", self._on_track)
        self._start(self._read())
        self._session = (await self._ask({"janus": "create"}))["data"]["id"]
        attached = await self._ask({"janus": "attach", "plugin": PLUGIN})
        if attached["janus"] != "success":
            raise ChainError(
                f"Janus does not know {PLUGIN} ({attached['error']['reason']}): "
                "see `journalctl -u janus` for why the plugin was not loaded."
            )
        self._handle = attached["data"]["id"]
        self._start(self._keep_alive())

    def _start(self, coroutine):
        task = asyncio.ensure_future(coroutine)

        async def stop():
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError, Exception):
                await task

        self._stack.push_async_callback(stop)

    async def send(self, message, handle=True):
        """Sends `message` with a new transaction, which is returned."""
        transaction = secrets.token_hex(8)
        message = {**message, "transaction": transaction}
        if self._session:
            message["session_id"] = self._session
        if self._handle and handle:
            message["handle_id"] = self._handle
        await self._socket.send_json(message)
        return transaction

    async def drop_socket(self):
        """Loses the signalling; the media goes on."""
        await self._socket.close()

    async def _ask(self, message):
        future = asyncio.get_running_loop().create_future()
        self._waiting[await self.send(message)] = future
        try:
            return await asyncio.wait_for(future, 5)
        except TimeoutError as error:
            raise ChainError(f"Janus does not answer `{message['janus']}` within 5 s.") from error

    async def _read(self):
        async for packet in self._socket:
            message = packet.json()
            kind = message["janus"]
            if kind == "event":
                # Not by transaction: newer uStreamer plugins send events without one.
                self._events.put_nowait(message)
            elif kind == "trickle":
                self._candidates.put_nowait(message["candidate"])
            elif message.get("transaction") in self._waiting and kind != "ack":
                self._waiting.pop(message["transaction"]).set_result(message)

    async def _add_candidates(self):
        """Hands on the candidates that come, once there is a description for them to belong to."""
        while True:
            candidate = await self._candidates.get()
            if candidate.get("completed"):
                await self._peer.addIceCandidate(None)
                continue
            parsed = candidate_from_sdp(candidate["candidate"].split(":", 1)[1])
            parsed.sdpMid = candidate.get("sdpMid")
            parsed.sdpMLineIndex = candidate.get("sdpMLineIndex")
            await self._peer.addIceCandidate(parsed)

    async def _keep_alive(self):
        while True:
            await asyncio.sleep(KEEPALIVE_SECONDS)
            await self.send({"janus": "keepalive"}, handle=False)

    async def request(self, name, jsep=None):
        """Sends a request to the plugin and returns its event (the whole Janus message)."""
        message = {"janus": "message", "body": {"request": name}}
        await self.send({**message, "jsep": jsep} if jsep else message)
        try:
            return await asyncio.wait_for(self._events.get(), 5)
        except TimeoutError as error:
            raise ChainError(
                f"The uStreamer plugin does not answer `{name}` within 5 s."
            ) from error

    async def watch(self, patience_seconds=15):
        """watch, answer, start; `watch` again for as long as the plugin has no picture yet."""
        deadline = time.monotonic() + patience_seconds
        while True:
            event = await self.request("watch")
            if "jsep" in event:
                break
            data = event.get("plugindata", {}).get("data", {})
            self.offers_refused += 1
            if data.get("error_code") != NO_PICTURE_YET or time.monotonic() > deadline:
                raise ChainError(
                    f"The uStreamer plugin refuses to show video ({data.get('error_code')}: "
                    f"{data.get('error')}): see `journalctl -u ustreamer -u janus`."
                )
            await asyncio.sleep(WATCH_AGAIN_SECONDS)
        self.offer = event["jsep"]["sdp"]
        try:
            await self._peer.setRemoteDescription(
                RTCSessionDescription(with_one_fmtp_each(self.offer), event["jsep"]["type"])
            )
        except OperationError as error:
            raise ChainError(
                f"The viewer can't decode what the uStreamer plugin offers ({error}): is it H.264?"
            ) from error
        if not self._watched:
            self._watched = True
            self._start(self._add_candidates())
        await self._peer.setLocalDescription(await self._peer.createAnswer())
        local = self._peer.localDescription
        self.answered_at = time.time()
        await self.request("start", {"type": local.type, "sdp": local.sdp})

    def _on_track(self, track):
        self._start(self._decode(track))

    async def _decode(self, track):
        while True:
            try:
                picture = await track.recv()
            except MediaStreamError:
                return
            now = time.time()
            luma = picture.planes[0]
            code = None
            if picture.width >= COLUMNS * CELL:
                code = read_code(bytes(luma), luma.line_size)
            if self.frames.full():
                self.frames.get_nowait()
            self.frames.put_nowait(Frame(now, picture.width, picture.height, code))

    async def packets_lost(self) -> int:
        """RTP packets that never came, also not when asked for again."""
        found = (await self._peer.getStats()).values()
        return sum(one.packetsLost for one in found if one.type == "inbound-rtp")

    async def next_frame(self, patience_seconds=5.0) -> Frame:
        try:
            return await asyncio.wait_for(self.frames.get(), patience_seconds)
        except TimeoutError as error:
            state = self._peer.iceConnectionState
            if state not in ("completed", "connected"):
                raise UnreachableError(
                    f"No UDP connection from the viewer to Janus came up (ICE is {state}): is the UDP range open?"
                ) from error
            raise ChainError(
                f"The viewer is connected, but has decoded no frame for {patience_seconds:g} s: "
                "`journalctl -u ustreamer -u janus` tells why."
            ) from error


async def look(url, cookie, certificate, seconds) -> Report:
    """Watches for `seconds` after the first picture."""
    report = Report()
    try:
        async with Viewer(url, cookie, certificate) as viewer:
            await viewer.watch()
            report.offers_refused = viewer.offers_refused
            seen = [await viewer.next_frame(15)]
            report.first_picture_ms = round((seen[0].at - viewer.answered_at) * 1000, 1)
            end = time.time() + seconds
            while seen[-1].at < end:
                seen.append(await viewer.next_frame())
            report.packets_lost = await viewer.packets_lost()
    except ChainError as error:
        report.error = str(error)
        report.unreachable = isinstance(error, UnreachableError)
        return report
    # The first second is the cached group of pictures, shown in a burst.
    steady = [frame for frame in seen if frame.at > seen[0].at + min(1.0, seconds / 2)]
    codes = [frame for frame in seen if frame.code]
    report.frames, report.width, report.height = len(seen), seen[-1].width, seen[-1].height
    if len(steady) > 1:
        report.fps = round((len(steady) - 1) / (steady[-1].at - steady[0].at), 2)
    report.bad_checksums = len(seen) - len(codes)
    if codes:
        report.counter_first, report.counter_last = codes[0].code[0], codes[-1].code[0]
        # aiortc gives out a frame when the next one's first packet has come, so that is where its time begins.
        latencies = [
            frame.ms_since_capture_of(following)
            for frame, following in itertools.pairwise(steady)
            if following.code
        ]
        if latencies:
            report.latency_ms_p50 = round(statistics.median(latencies), 1)
    return report


def main():
    parser = argparse.ArgumentParser(
        description="Decode the appliance's video, as a viewer through nginx."
    )
    parser.add_argument("url", help="wss://HOST/janus/ws")
    parser.add_argument(
        "--seconds", type=float, default=3.0, help="to watch after the first picture"
    )
    parser.add_argument("--certificate", help="SHA-256 of the server's certificate, in hexadecimal")
    parser.add_argument(
        "--emulated", action="store_true", help="demand the emulated source's counter and checksum"
    )
    parser.add_argument(
        "--on-device", action="store_true", help="run `tinypilot session` for a session"
    )
    arguments = parser.parse_args()
    if arguments.on_device:
        cookie = subprocess.check_output(["tinypilot", "session"], text=True).strip()
    else:
        cookie = sys.stdin.readline().strip()
    logging.disable(logging.WARNING)
    report = asyncio.run(look(arguments.url, cookie, arguments.certificate, arguments.seconds))
    if arguments.emulated and not report.error:
        # aiortc shows what it can decode of a picture with holes: that is the network's doing, not the chain's.
        if report.bad_checksums and not report.packets_lost:
            report.error = (
                f"{report.bad_checksums} of {report.frames} pictures are damaged although no packet was lost: "
                "see `journalctl -u ustreamer -u janus`."
            )
        elif report.counter_last <= report.counter_first:
            report.error = "The picture stands still: its counter does not advance."
    print(json.dumps(asdict(report)))
    sys.exit(1 if report.error else 0)


if __name__ == "__main__":
    main()
