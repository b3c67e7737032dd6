# SPDX-License-Identifier: MIT
"""Asks those programs whether they live that can't tell systemd so by themselves, each over its own interface and as a
client would, and has root end those that hang. systemd starts them anew.

Who does not run, or is just starting, is systemd's business. Nothing is ended for a cause that lies outside, such as a
cable that is out; and what was ended without effect gets twice the patience each time, up to five minutes.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import ssl
import time
from collections.abc import Awaitable, Callable, Collection, Coroutine
from dataclasses import asdict, dataclass
from pathlib import Path

from aiohttp import (
    ClientError,
    ClientSession,
    ClientTimeout,
    ClientWebSocketResponse,
    UnixConnector,
    WSMsgType,
)

from tinypilot import healing
from tinypilot.config import Config
from tinypilot.monitoring import observations
from tinypilot.video import hdmi, memsink
from tinypilot.video.relay import PLUGIN, PROTOCOL, read_secret, sign

LOOK_SECONDS = 2.0
# Who did not answer is soon asked again, so that no single answer that is late decides.
LOOK_AGAIN_SECONDS = 0.5
SHORTEST_ANSWER_SECONDS = 0.5
ANSWER_SECONDS = 1.5
PATIENCE_SECONDS = 4.0
ENCODER_PATIENCE_SECONDS = 5.0
# A program that starts: on a slow disk, or because it waits for name servers, as Janus does.
START_PATIENCE_SECONDS = 20.0
NO_SOCKET_PATIENCE_SECONDS = 60.0
# A program may have begun before it was seen to be ill.
START_SECONDS = 3.0
# What is wrong for a moment, as while a mode changes, is no news. Longer than one answer that does not come.
TOLD_SECONDS = 5.0
# How long Janus goes without STUN or TURN, at first and at the most, while nobody watches.
ICE_SECONDS, LONGEST_ICE_SECONDS = 60, 3600
# Each look has its own limit.
FOR_EVER = ClientTimeout(total=None)
# uStreamer looks for a signal each second, and needs two to follow another mode.
SIGNAL_PATIENCE_SECONDS = 15.0
# As the plugin's and the relay's signs of life in the sink, with some to spare.
READER_SECONDS = 2.0
ROOT_SECONDS = 30
CGROUPS = [Path("/sys/fs/cgroup"), Path("/sys/fs/cgroup/systemd"), Path("/sys/fs/cgroup/unified")]
# Fields of /proc/PID/stat behind the program's name.
STATE, STARTED_TICKS = 0, 19

NO_ANSWER = "does not answer"
NO_H264 = "brings no H.264, though somebody watches and there is a signal"
NO_SIGNAL = "shows no picture of the signal that there is"


class Trouble(Exception):
    """A sentence without its subject: what is wrong with a unit. patience: for how long it may be so."""

    def __init__(self, what: str, patience: float = PATIENCE_SECONDS):
        super().__init__(what)
        self.patience = patience


@dataclass(frozen=True)
class Probe:
    unit: str
    # Raises Trouble, or what asking raises. Returns the troubles that can't be known to be over.
    ask: Callable[[], Awaitable[set[str]]]


@dataclass(frozen=True)
class Process:
    """state: a letter, as in /proc/PID/stat; age_seconds: since its start."""

    state: str
    age_seconds: float


def processes_of(unit: str) -> list[Process]:
    """Of a unit beside this program's own, by its control group."""
    own = Path("/proc/self/cgroup").read_text(encoding="ascii").splitlines()
    slices = {
        Path(line.split(":", 2)[2].lstrip("/")).parent
        for line in own
        if ":name=systemd:" in line or "::" in line
    }
    for listed in [root / each / unit / "cgroup.procs" for root in CGROUPS for each in slices]:
        with contextlib.suppress(OSError):
            return [found for pid in listed.read_text().split() if (found := _process(pid))]
    return []


def _process(pid: str) -> Process | None:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    started = int(fields[STARTED_TICKS]) / os.sysconf("SC_CLK_TCK")
    return Process(fields[STATE], time.clock_gettime(time.CLOCK_BOOTTIME) - started)


class ProbedUnit:
    """Looks after one unit. heal: has it ended, for a reason, and returns whether it was."""

    def __init__(
        self,
        probe: Probe,
        heal: Callable[[str, str], Awaitable[bool]],
        processes: Callable[[str], list[Process]] = processes_of,
        clock: Callable[[], float] = time.monotonic,
    ):
        self._probe = probe
        self._heal = heal
        self._processes = processes
        self._clock = clock
        # How often each trouble was there again after a healing.
        self._in_vain: dict[str, int] = {}
        # Since this program began to look, or since the last healing.
        self._was_well = False
        self._well_at = self._clock()
        self._ill: tuple[str, float] | None = None
        # When the patience with that ends.
        self._until = 0.0

    @property
    def trouble(self) -> str:
        """What has been wrong with it for some time; "": nothing."""
        what, since = self._ill or ("", 0.0)
        return what if self._clock() - since >= TOLD_SECONDS else ""

    async def look(self) -> bool:
        """Whether the unit is well."""
        began = self._clock()
        ages = [each.age_seconds for each in self._processes(self._probe.unit)]
        found = await self._ask() if ages else {*self._in_vain}
        if not isinstance(found, Trouble):
            self._ill, self._was_well, self._well_at = None, bool(ages), began
            self._in_vain = {what: count for what, count in self._in_vain.items() if what in found}
            return True
        what, now = str(found), self._clock()
        # Troubles replace each other while a program starts: each has its own beginning.
        if self._ill is None or self._ill[0] != what:
            # Since the last look at the earliest, also if this program itself was late.
            self._ill = what, max(self._well_at, now - LOOK_SECONDS - ANSWER_SECONDS)
        seconds = now - self._ill[1]
        is_starting = not self._was_well or max(ages) < seconds + START_SECONDS
        self._until = self._ill[1] + self._patience_seconds(found, is_starting)
        if now >= self._until:
            if not await self._heal(self._probe.unit, f"{what} for {seconds:.0f} s"):
                # It is asked for once more, as if the trouble began now.
                self._ill = what, self._clock()
                return False
            self._in_vain[what] = min(self._in_vain.get(what, 0) + 1, 16)
            self._was_well, self._ill, self._well_at = False, None, self._clock()
        return False

    def _patience_seconds(self, trouble: Trouble, is_starting: bool) -> float:
        first = max(trouble.patience, START_PATIENCE_SECONDS if is_starting else 0)
        first *= healing.slowness()
        patience = healing.of(self._probe.unit).patience_seconds(first, self._clock())
        in_vain = self._in_vain.get(str(trouble), 0)
        return min(patience * 2**in_vain, max(first, healing.LONGEST_PATIENCE_SECONDS))

    async def _ask(self) -> Trouble | set[str]:
        seconds = ANSWER_SECONDS * healing.slowness()
        if self._ill:
            # The last answer is not waited for beyond that.
            seconds = max(SHORTEST_ANSWER_SECONDS, min(seconds, self._until - self._clock()))
        try:
            async with asyncio.timeout(seconds):
                return await self._probe.ask()
        except Trouble as trouble:
            return trouble
        # A full queue of connections (EAGAIN) is one that nobody takes from.
        except (TimeoutError, BlockingIOError):
            return Trouble(NO_ANSWER)
        except (ClientError, OSError, EOFError):
            return Trouble("takes no connection", NO_SOCKET_PATIENCE_SECONDS)
        except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
            return Trouble("answers what can't be understood", NO_SOCKET_PATIENCE_SECONDS)

    async def watch(self) -> None:
        while True:
            is_well = await self.look()
            await asyncio.sleep(LOOK_SECONDS if is_well else LOOK_AGAIN_SECONDS)


class UStreamer:
    def __init__(self, http_socket: Path, sink: memsink.Memsink, signal: Callable[[], hdmi.Signal]):
        self._http_socket = http_socket
        self._sink = sink
        self._signal = signal
        self._number = 0
        self.is_watched = False
        # What it said last of its source; None: it did not answer.
        self.source: dict | None = None
        # By its own rate.
        self.frames_captured = 0.0
        self._asked_at = time.monotonic()

    async def ask(self) -> set[str]:
        try:
            state = await self._state()
        except BaseException:
            self.source = None
            raise
        self._count_frames(state["source"])
        signal = self._signal().state
        if not state["source"]["online"]:
            if signal == hdmi.PRESENT:
                raise Trouble(NO_SIGNAL, SIGNAL_PATIENCE_SECONDS)
            return {NO_H264}
        is_read, is_new = self._look_into_sink()
        if is_read and not is_new and signal in (hdmi.PRESENT, hdmi.UNKNOWN):
            raise Trouble(NO_H264, ENCODER_PATIENCE_SECONDS)
        return set() if is_read and is_new else {NO_H264}

    async def _state(self) -> dict:
        async with (
            ClientSession(
                connector=UnixConnector(str(self._http_socket)), timeout=FOR_EVER
            ) as http,
            http.get("http://ustreamer/state") as answer,
        ):
            return (await answer.json(content_type=None))["result"]

    def _count_frames(self, source: dict) -> None:
        now = time.monotonic()
        rate = source.get("captured_fps")
        if isinstance(rate, int | float):
            # Of the second before; what was before the last answer is not known.
            self.frames_captured += rate * min(now - self._asked_at, 2 * LOOK_SECONDS)
        self._asked_at, self.source = now, source

    def _look_into_sink(self) -> tuple[bool, bool]:
        """Whether somebody reads it, and whether there is another frame than at the last look. uStreamer closes an
        encoder that once took longer than a second (5.12 to 6.62), or waits for it for ever; or capturing has stopped.
        What it says of itself may be of the time before."""
        self._sink.refresh()
        glance = self._sink.glance()
        self.is_watched = False
        if glance is None:
            return False, False
        number, reader_seen = glance
        is_new, self._number = number != self._number, number
        self.is_watched = 0 <= memsink.now() - reader_seen < READER_SECONDS
        return self.is_watched, is_new


class Janus:
    """Keeps a session of its own, and asks the plugin a question, which passes through all parts of Janus."""

    def __init__(self, path: Path, secret: bytes):
        self._path = path
        self._secret = secret
        self._http: ClientSession | None = None
        self._socket: ClientWebSocketResponse | None = None
        self._handle: dict = {}
        self._number = 0
        # What it says of itself: the same until its end.
        self.info: dict = {}
        # What became of the frames; None: it did not answer, or its plugin does not tell.
        self.statistics: dict | None = None

    async def ask(self) -> set[str]:
        try:
            if self._socket is None or self._socket.closed:
                await self._connect()
            features = (await self._ask_plugin("features"))["features"]
            reader = features.get("reader_late_ms", 0)
            if "reader_late_ms" in features:
                # uStreamer's own plugin would write into the journal that it does not know that.
                self.statistics = (await self._ask_plugin("statistics")).get("statistics")
        except BaseException:
            self.statistics = None
            await self.close()
            raise
        if reader > 1000 * ANSWER_SECONDS:
            raise Trouble("does not read the sink")
        return set()

    async def _ask_plugin(self, request: str) -> dict:
        """The result; {}: it does not know that."""
        await self._say("message", body={"request": request}, **self._handle)
        event = await self._answer("event")
        return event["plugindata"]["data"].get("result", {})

    async def _connect(self) -> None:
        await self.close()
        self._http = ClientSession(connector=UnixConnector(str(self._path)), timeout=FOR_EVER)
        self._socket = await self._http.ws_connect("http://janus/", protocols=[PROTOCOL])
        self._handle = {}
        await self._say("info")
        self.info = await self._answer("server_info")
        await self._say("create")
        self._handle["session_id"] = (await self._answer("success"))["data"]["id"]
        await self._say("attach", plugin=PLUGIN, **self._handle)
        self._handle["handle_id"] = (await self._answer("success"))["data"]["id"]

    async def _say(self, what: str, **fields: object) -> None:
        assert self._socket
        self._number += 1
        token = sign(self._secret, PLUGIN, time.time())
        await self._socket.send_json(
            {"janus": what, "transaction": str(self._number), "token": token, **fields}
        )

    async def _answer(self, kind: str) -> dict:
        """Of the last question."""
        assert self._socket
        async for message in self._socket:
            if message.type is not WSMsgType.TEXT:
                break
            answer = json.loads(message.data)
            if answer.get("transaction") == str(self._number) and answer["janus"] in (
                kind,
                "error",
            ):
                return answer
        raise ConnectionError

    async def close(self) -> None:
        """Its end is not waited for: Janus may hang."""
        http, self._http, self._socket = self._http, None, None
        if http:
            await http.close()


class Nginx:
    """Over TLS, to a socket of its own: its worker answers by itself, or passes the question on to the web app."""

    def __init__(self, path: Path, unit: str):
        self._path = path
        self._unit = unit
        self._answers = False
        # What it shows to browsers; PEM.
        self.certificate: str | None = None
        self._tls = ssl.create_default_context()
        # It is asked whether it lives. Who it is says the path.
        self._tls.check_hostname = False
        self._tls.verify_mode = ssl.CERT_NONE

    async def ask(self) -> set[str]:
        try:
            await self._get("/nginx")
        except BaseException:
            self._answers = False
            raise
        self._answers = True
        # Its main process does nothing that could be asked for.
        if any(each.state == "T" for each in processes_of(self._unit)):
            raise Trouble("has a process that is stopped")
        return set()

    async def ask_web_app(self) -> set[str]:
        # It is nginx that asks.
        if not self._answers:
            return {NO_ANSWER}
        # Without a session the web app refuses.
        if await self._get("/web") >= 500:
            raise Trouble(NO_ANSWER)
        return set()

    async def _get(self, path: str) -> int:
        reader, writer = await asyncio.open_unix_connection(
            str(self._path), ssl=self._tls, server_hostname="localhost"
        )
        try:
            shown = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
            self.certificate = ssl.DER_cert_to_PEM_cert(shown)
            writer.write(f"GET {path} HTTP/1.0\r\nHost: localhost\r\n\r\n".encode())
            line = await reader.readline()
            return int(line.split()[1])
        finally:
            writer.transport.abort()


class HdmiSignal:
    """Asks kvm-hdmi, and keeps its last answer for who needs it."""

    def __init__(self, path: Path):
        self._path = path
        self.last = hdmi.Signal(hdmi.UNKNOWN)

    async def ask(self) -> set[str]:
        try:
            self.last = hdmi.judge(await self._facts())
        except BaseException:
            self.last = hdmi.Signal(hdmi.UNKNOWN)
            raise
        return set()

    async def _facts(self) -> dict:
        reader, writer = await asyncio.open_unix_connection(str(self._path))
        try:
            return json.loads(await reader.read(-1))
        finally:
            writer.transport.abort()


class Root:
    """The program that may end units, through the socket that systemd starts it for."""

    def __init__(self, path: Path):
        self._path = path

    async def heal(self, unit: str, reason: str) -> bool:
        try:
            async with asyncio.timeout(ROOT_SECONDS):
                reader, writer = await asyncio.open_unix_connection(str(self._path))
                try:
                    request = {"by": "supervisor", "heal": unit, "reason": reason}
                    writer.write(json.dumps(request).encode() + b"\n")
                    answer = await reader.readline()
                finally:
                    writer.transport.abort()
        except (OSError, TimeoutError) as error:
            answer = repr(error).encode()
        if answer.strip() == b"{}":
            return True
        print(
            f"{unit} {reason}, and could not be ended: {answer.decode(errors='replace')}",
            flush=True,
        )
        return False


async def renew_ice_servers(
    wanted: Collection[str],
    janus: Janus,
    is_watched: Callable[[], bool],
    heal: Callable[[str, str], Awaitable[bool]],
) -> None:
    """Janus asks for its STUN and TURN servers when it starts, and goes without those that do not answer then, as while
    a router boots. It is started anew when nobody watches."""
    pause = ICE_SECONDS
    while True:
        await asyncio.sleep(pause)
        missing = [kind for kind in wanted if janus.info and kind not in janus.info]
        if not missing:
            pause = ICE_SECONDS
        elif not is_watched():
            await heal(
                "janus.service", f"could not ask its {' and '.join(missing)} when it started"
            )
            pause = min(2 * pause, LONGEST_ICE_SECONDS)


def observed(
    ustreamer: UStreamer, janus: Janus, nginx: Nginx, signal: HdmiSignal, troubles: dict[str, str]
) -> dict:
    """For those who tell of it (monitoring/)."""
    return {
        "source": ustreamer.source,
        "frames_captured": int(ustreamer.frames_captured),
        "signal": asdict(signal.last),
        "janus_version": janus.info.get("version_string"),
        "statistics": janus.statistics,
        "certificate": nginx.certificate,
        "troubles": troubles,
    }


def watches(config: Config) -> list[Coroutine[None, None, None]]:
    root = Root(config.settings_socket)
    signal = HdmiSignal(config.hdmi_socket)
    nginx = Nginx(config.nginx_socket, "nginx.service")
    ustreamer = UStreamer(
        config.ustreamer_socket, memsink.Memsink(config.h264_sink), lambda: signal.last
    )
    janus = Janus(config.janus_socket, read_secret(config.janus_token_file))
    probes = [
        Probe("kvm-hdmi.service", signal.ask),
        Probe("ustreamer.service", ustreamer.ask),
        Probe("janus.service", janus.ask),
        Probe("nginx.service", nginx.ask),
        Probe("tinypilot.service", nginx.ask_web_app),
    ]
    renewal = renew_ice_servers(
        config.janus_ice_servers, janus, lambda: ustreamer.is_watched, root.heal
    )
    units = {probe.unit: ProbedUnit(probe, root.heal) for probe in probes}

    def look() -> dict:
        troubles = {unit: each.trouble for unit, each in units.items()}
        return observed(ustreamer, janus, nginx, signal, troubles)

    telling = observations.keep_publishing("supervisor", look)
    return [renewal, telling, *(unit.watch() for unit in units.values())]


async def supervise(config: Config) -> None:
    sign_of_life = healing.SignOfLife()
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(sign_of_life.keep_giving())
        for watch in watches(config):
            tasks.create_task(watch)


def main() -> None:
    asyncio.run(supervise(Config.from_environment()))


if __name__ == "__main__":
    main()
