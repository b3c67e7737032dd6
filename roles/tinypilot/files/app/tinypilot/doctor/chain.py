#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Follow a frame through the device, link by link, and name the first broken one.

playbooks/verify.yml brings it along, as verify_chain.py, so that it runs on a device of any state. The doctor asks
uStreamer, the sink and Janus by the same functions, and says the same sentences.

    verify_chain.py WIRING
    verify_chain.py --signal SOCKET     does uStreamer, at this socket, see a signal now? Exit code 0: yes

WIRING is a JSON object: units (list), capture_device (null: not looked at), ustreamer_socket, sink_name, sink_group,
janus_socket, janus_token_file, https_port, patience_seconds (how long the chain may take to become whole),
signal_expected (whether a switched-off computer would be news), hdmi_socket (tells what comes over the video cable),
encoder_unit (who writes the sink), or facts_file, in which the role that made that unit says so.
Prints a JSON object: error (a sentence, or null), signal (whether the attached computer sends a picture that is
captured), why_not (if not: what comes over the cable, and what to do), width, height, held_fps (what the software
encoder was measured to hold at this size, or null), certificate (SHA-256 of what nginx shows). Needs root, for the
sockets, and aiohttp, which the product has installed for its relay.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import grp
import hashlib
import hmac
import http.client
import json
import os
import re
import socket
import ssl
import stat
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any

try:
    import aiohttp
except ImportError:  # a device that was never provisioned: its units say so first
    aiohttp = None  # type: ignore[assignment]

PLUGIN = "janus.plugin.ustreamer"
NO_PICTURE_YET = 503
USTREAMER = "ustreamer.service"
PATIENCE_SECONDS = 10
# Of Janus and uStreamer, with one request.
ANSWER_SECONDS = 5
TOKEN_SECONDS = 60
# What makes words of what comes over the cable, for the page as well.
TELL_SIGNAL = ["/usr/local/sbin/tinypilot", "signal"]
NO_SIGNAL = "The attached computer is off or asleep, or its video cable is not connected."
# The frame's id stands at the same place in every layout of the sink.
SINK_ID_OFFSET = 16


# Asks the plugin, and returns what Janus says.
Ask = Callable[[dict], Awaitable[dict]]


class BrokenLink(Exception):
    """what: is wrong, and where; do: what to do about it, or what tells more."""

    def __init__(self, what: str, do: str):
        super().__init__(f"{what}: {do}")
        self.what = what
        self.do = do


def _read(path: str) -> Any:
    with open(path, encoding="utf-8") as file:
        return json.load(file)


def encoder_unit(wiring: dict) -> str:
    """Who writes the H.264 sink: uStreamer, or the program that encodes in software. A device that was provisioned by
    an older version does not say."""
    if "encoder_unit" in wiring:
        return wiring["encoder_unit"]
    try:
        return _read(wiring["facts_file"])["encoder_unit"]
    except (OSError, ValueError, KeyError):
        return USTREAMER


def held_fps(wiring: dict, width: int, height: int) -> int | None:
    """What the software encoder held when it was compiled, at the next larger size that was measured; beyond the
    largest, what its pixels a second are in this size. None: there is none, or it was not measured."""
    if encoder_unit(wiring) == USTREAMER:
        return None
    try:
        measured = _read(_read(wiring["facts_file"])["encoder_speed"])["sizes"]
        sizes = sorted(measured, key=lambda each: each["width"] * each["height"])
        pixels = max(width * height, 1)
        fitting = [each for each in sizes if each["width"] * each["height"] >= pixels]
        if fitting:
            return int(fitting[0]["frames_per_second"])
        largest = sizes[-1]
        return int(largest["frames_per_second"] * largest["width"] * largest["height"] / pixels)
    except (OSError, ValueError, LookupError, TypeError):
        return None


def journal_of_writers(wiring: dict) -> str:
    """The command that shows what those said by whom frames come into the sink."""
    encoder = encoder_unit(wiring)
    return "journalctl -u ustreamer" + (f" -u {encoder}" if encoder != USTREAMER else "")


def check_units(wiring: dict) -> None:
    encoder = encoder_unit(wiring)
    for unit in [*wiring["units"], *([encoder] if encoder != USTREAMER else [])]:
        state = subprocess.run(
            ["systemctl", "is-active", unit], capture_output=True, text=True, check=False
        ).stdout.strip()
        if state != "active":
            raise BrokenLink(f"{unit} is {state}", f"`journalctl -u {unit}` tells why.")


def check_library() -> None:
    if aiohttp is None:
        raise BrokenLink("Python has no aiohttp here", "run the play again, which installs it.")


def reason(error: BaseException) -> str:
    return str(error) or f"nothing within {ANSWER_SECONDS} s"


async def ask_ustreamer(path: str) -> dict:
    """uStreamer's own account of itself (the `result` of /state)."""
    try:
        async with (
            asyncio.timeout(ANSWER_SECONDS),
            aiohttp.ClientSession(connector=aiohttp.UnixConnector(path)) as http,
            http.get("http://localhost/state") as answer,
        ):
            return (await answer.json())["result"]
    except (aiohttp.ClientError, OSError, ValueError, KeyError) as error:
        raise BrokenLink(
            f"uStreamer does not answer on {path} ({reason(error)})",
            "`journalctl -u ustreamer` tells why.",
        ) from error


async def check_capture(wiring: dict) -> dict:
    """uStreamer's account of the source. That it is offline says only that no picture comes: the reasons that are no
    switched-off computer are told apart here."""
    device = wiring["capture_device"]
    if device and not os.path.exists(device):
        raise BrokenLink(
            f"There is no capture device {device}",
            "is it plugged in? `ls -l /dev/video* /dev/kvm-video` shows what is.",
        )
    state = await ask_ustreamer(wiring["ustreamer_socket"])
    if "h264" not in state and encoder_unit(wiring) == USTREAMER:
        raise BrokenLink(
            "uStreamer encodes no H.264, as if it had not been told of a sink",
            "is it another build than `systemctl cat ustreamer` was written for?",
        )
    if wiring["signal_expected"] and not state["source"]["online"]:
        raise BrokenLink(
            "uStreamer says that the attached computer sends no picture, and a moment ago it did",
            f"was it switched off? {why_no_picture(wiring)}",
        )
    return state["source"]


def why_no_picture(wiring: dict) -> str:
    """What comes over the video cable, in a sentence or two."""
    try:
        with socket.socket(socket.AF_UNIX) as hdmi:
            hdmi.settimeout(ANSWER_SECONDS)
            hdmi.connect(wiring["hdmi_socket"])
            facts = b"".join(iter(lambda: hdmi.recv(4096), b""))
        told = subprocess.run(
            TELL_SIGNAL,
            input=facts,
            capture_output=True,
            timeout=PATIENCE_SECONDS,
            check=True,
        ).stdout.decode()
    except (OSError, subprocess.SubprocessError):
        return NO_SIGNAL
    # A title, and the words.
    return told.strip().rpartition("\n")[2] or NO_SIGNAL


async def check_encoder(wiring: dict, patience_seconds: float) -> None:
    """Newer uStreamers open their encoder for a viewer only: somebody has to watch meanwhile. And uStreamer may be
    started anew meanwhile, for just this encoder's sake. Of one in software uStreamer knows nothing: the sink tells."""
    if encoder_unit(wiring) != USTREAMER:
        return
    deadline = time.monotonic() + patience_seconds
    while True:
        try:
            if (await ask_ustreamer(wiring["ustreamer_socket"]))["h264"]["online"]:
                return
            broken = BrokenLink(
                "uStreamer's H.264 encoder does not work: it can't be opened or does not answer",
                "`journalctl -u ustreamer` tells why. An encoder that hangs although uStreamer was started anew needs "
                "a reboot.",
            )
        except BrokenLink as silence:
            broken = silence
        if time.monotonic() > deadline:
            raise broken
        await asyncio.sleep(0.25)


def check_sink(wiring: dict) -> str:
    path = "/dev/shm/" + wiring["sink_name"]
    try:
        status = os.stat(path)
    except OSError as error:
        raise BrokenLink(
            f"There is no H.264 sink {path}",
            f"`{journal_of_writers(wiring)}` tells why it could not be made.",
        ) from error
    try:
        group = grp.getgrgid(status.st_gid).gr_name
    except KeyError:
        group = str(status.st_gid)
    mode = stat.S_IMODE(status.st_mode)
    if group != wiring["sink_group"] or mode != 0o660:
        raise BrokenLink(
            f"The sink {path} has group {group} and mode {mode:04o} instead of {wiring['sink_group']} and 0660, so "
            "Janus can't open it",
            "remove it and `systemctl restart ustreamer`.",
        )
    return path


def sink_id(path: str) -> bytes:
    with open(path, "rb") as sink:
        sink.seek(SINK_ID_OFFSET)
        return sink.read(8)


def janus_token(wiring: dict) -> str:
    """What Janus lets somebody in for: expiry, realm and plugin, signed with the secret in its configuration."""
    path = wiring["janus_token_file"]
    try:
        with open(path) as file:
            secret = re.findall(r'token_auth_secret = "(\w+)"', file.read())[0]
    except (OSError, IndexError) as error:
        raise BrokenLink(
            f"The secret of Janus' tokens can't be read from {path}", "run the play again."
        ) from error
    words = f"{int(time.time()) + TOKEN_SECONDS},janus,{PLUGIN}"
    signature = hmac.digest(secret.encode(), words.encode(), "sha1")
    return f"{words}:{base64.b64encode(signature).decode()}"


@contextlib.asynccontextmanager
async def attached(wiring: dict) -> AsyncIterator[Ask]:
    """A handle of the plugin's: what is yielded asks it, and returns its answer."""
    path = wiring["janus_socket"]
    async with aiohttp.ClientSession(connector=aiohttp.UnixConnector(path)) as http:
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                janus = await http.ws_connect("http://localhost/", protocols=["janus-protocol"])
        except (aiohttp.ClientError, OSError) as error:
            raise BrokenLink(
                f"Janus does not answer on {path} ({reason(error)})",
                "`journalctl -u janus` tells why.",
            ) from error
        ids = {"token": janus_token(wiring)}
        with speaking_to_janus():
            ask = await attach(janus, ids)
        try:
            yield ask
        finally:
            # Otherwise Janus keeps it for a while, for a page that comes back. It may be gone.
            with contextlib.suppress(aiohttp.ClientError, OSError):
                await janus.send_json({"janus": "destroy", **ids, "transaction": "verify"})


@contextlib.contextmanager
def speaking_to_janus() -> Iterator[None]:
    try:
        yield
    # TypeError: aiohttp got another message than text, such as the end.
    except (aiohttp.ClientError, OSError, TypeError, ValueError) as error:
        raise BrokenLink(
            f"Janus broke off the conversation ({reason(error)})",
            "`journalctl -u janus` tells why.",
        ) from error


async def attach(janus: Any, ids: dict) -> Ask:
    """Puts the numbers of session and handle into `ids`."""

    async def ask(message: dict, kinds: list[str]) -> dict:
        await janus.send_json({**message, **ids, "transaction": "verify"})
        while True:
            answer = await janus.receive_json(timeout=ANSWER_SECONDS)
            if answer["janus"] in kinds:
                return answer

    async def ask_plugin(body: dict) -> dict:
        with speaking_to_janus():
            return await ask({"janus": "message", "body": body}, ["event", "error"])

    created = await ask({"janus": "create"}, ["success", "error"])
    if created["janus"] == "error":
        raise BrokenLink(
            f"Janus refuses the device's own token ({created['error']['reason']})",
            "run the play again, and see `journalctl -u janus`.",
        )
    ids["session_id"] = created["data"]["id"]
    answer = await ask({"janus": "attach", "plugin": PLUGIN}, ["success", "error"])
    if answer["janus"] == "error":
        raise BrokenLink(
            f"Janus does not know {PLUGIN} ({answer['error']['reason']})",
            "`journalctl -u janus` tells why the plugin was not loaded.",
        )
    ids["handle_id"] = answer["data"]["id"]
    return ask_plugin


async def watch(ask: Ask) -> bool:
    """Whether there is an offer: somebody watches from then on. If not, there is no picture yet."""
    answer = await ask({"request": "watch"})
    if "jsep" in answer:
        return True
    refusal = answer.get("plugindata", {}).get("data") or answer["error"]
    if refusal.get("error_code") == NO_PICTURE_YET:
        return False
    raise no_offer(refusal.get("error") or refusal)


def no_offer(why: object) -> BrokenLink:
    return BrokenLink(
        f"The uStreamer plugin makes no offer ({why})",
        "`journalctl -u janus -u 'ustreamer*'` tells why.",
    )


@contextlib.asynccontextmanager
async def watching(wiring: dict) -> AsyncIterator[None]:
    """Attaches to the plugin and gets an offer: somebody watches until this is left."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    async with attached(wiring) as ask:
        while not await watch(ask):
            if time.monotonic() > deadline:
                await check_encoder(wiring, 0)
                raise no_offer("no picture yet")
            await asyncio.sleep(0.25)
        yield


async def check_sink_advances(wiring: dict, path: str) -> None:
    """With a watcher, uStreamer must encode; without a signal there is nothing to encode."""
    first, deadline = sink_id(path), time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        if sink_id(path) != first:
            return
        await asyncio.sleep(0.05)
    raise BrokenLink(
        f"No new frame came into the sink within {PATIENCE_SECONDS} s although somebody watches",
        f"`{journal_of_writers(wiring)}` tells why.",
    )


def ask_nginx(wiring: dict) -> str:
    """SHA-256 of the certificate nginx shows; the web app must answer."""
    port = wiring["https_port"]
    tls = ssl.create_default_context()
    tls.check_hostname, tls.verify_mode = False, ssl.CERT_NONE
    try:
        connection = http.client.HTTPSConnection("127.0.0.1", port, timeout=10, context=tls)
        connection.connect()
        certificate = connection.sock.getpeercert(binary_form=True) or b""
        # Answers without login.
        connection.request("GET", "/setup")
        status = connection.getresponse().status
    except OSError as error:
        raise BrokenLink(
            f"nginx does not answer on port {port} ({error})", "`journalctl -u nginx` tells why."
        ) from error
    if status != 200:
        raise BrokenLink(
            f"The page answers with status {status}",
            "`journalctl -u tinypilot -u nginx` tells why.",
        )
    return hashlib.sha256(certificate).hexdigest()


async def follow(wiring: dict) -> dict:
    """What `main` prints."""
    result: dict[str, Any] = {
        **{"error": None, "signal": False, "why_not": None},
        **{"width": 0, "height": 0, "held_fps": None, "certificate": None},
    }
    try:
        check_units(wiring)
        check_library()
        source = await check_capture(wiring)
        result.update(signal=source["online"], **source["resolution"])
        result["held_fps"] = held_fps(wiring, result["width"], result["height"])
        if not result["signal"]:
            result["why_not"] = why_no_picture(wiring)
        path = check_sink(wiring)
        async with watching(wiring):
            await check_encoder(wiring, PATIENCE_SECONDS)
            if result["signal"]:
                await check_sink_advances(wiring, path)
        result["certificate"] = ask_nginx(wiring)
    except BrokenLink as broken:
        result["error"] = str(broken)
    except Exception as error:
        result["error"] = (
            f"The check itself failed ({error!r}): is the device being changed right now? Run it again."
        )
    return result


def main() -> None:
    if sys.argv[1] == "--signal":
        check_library()
        state = asyncio.run(ask_ustreamer(sys.argv[2]))
        sys.exit(0 if state["source"]["online"] else 1)
    wiring = json.loads(sys.argv[1])
    deadline = time.monotonic() + wiring["patience_seconds"]
    while (result := asyncio.run(follow(wiring)))["error"] and time.monotonic() < deadline:
        time.sleep(0.5)
    print(json.dumps(result))


if __name__ == "__main__":
    main()
