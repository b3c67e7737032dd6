# SPDX-License-Identifier: MIT
"""The sound of the attached computer: heard in the browser, in time with the picture, and made for listeners alone.

The simulated computer plays 440 Hz at the left and 660 Hz at the right, and an octave above for the first tenth of each
second (roles/emulated_hardware/files/simulated_sound).
"""

from __future__ import annotations

import asyncio
import math
import statistics
import time
from array import array
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from operator import mul

import av
import pytest
from aiortc.mediastreams import MediaStreamError

from tests.support.device import Device
from tests.support.remote_screen import RemoteScreen
from tests.support.viewers import Listener, Viewer, read_code, run
from tests.support.waiting import PATIENCE_SECONDS, wait_until

from .test_view_tools import RECORDED_FRAMES, button, downloading, frames_in, open_menu

SOUND_CONTROL = "/run/v4l2-emulator/sound"
TONES_HZ = (440, 660)
MOST_APART_MS = 20
PACKETS = 200  # four seconds

# What is loudest at the left and at the right in the sound that the page got, in Hz; 0: nothing is.
LOUDEST = """async () => {
  const track = observer.peers.at(-1).connection.getReceivers().find(({ track }) => track?.kind === 'audio')?.track;
  if (!track) return null;
  globalThis.heard ??= (() => {
    const context = new AudioContext();
    const splitter = context.createChannelSplitter(2);
    const analysers = [0, 1].map((channel) => {
      const analyser = new AnalyserNode(context, { fftSize: 16384, smoothingTimeConstant: 0 });
      splitter.connect(analyser, channel);
      return analyser;
    });
    return { context, splitter, analysers };
  })();
  if (heard.track !== track) {
    heard.track = track;
    heard.source?.disconnect();
    heard.source = heard.context.createMediaStreamSource(new MediaStream([track]));
    heard.source.connect(heard.splitter);
  }
  await heard.context.resume();
  return heard.analysers.map((analyser) => {
    const decibels = new Float32Array(analyser.frequencyBinCount);
    analyser.getFloatFrequencyData(decibels);
    const loudest = decibels.indexOf(Math.max(...decibels));
    return decibels[loudest] < -60 ? 0 : (loudest * heard.context.sampleRate) / analyser.fftSize;
  });
}"""


@pytest.fixture(autouse=True)
def sound(device: Device) -> Iterator[None]:
    """The computer plays its tones, before and after."""
    device.sh(f"rm -f {SOUND_CONTROL}")
    yield
    device.sh(f"rm -f {SOUND_CONTROL}")


def play(device: Device, words: str) -> None:
    device.sh(f"echo '{words}' > {SOUND_CONTROL}.new && mv {SOUND_CONTROL}.new {SOUND_CONTROL}")


def statistics_of_sound(device: Device) -> dict:
    async def ask() -> dict:
        async with Viewer(device.socket_url, device.cookie()) as viewer:
            answer = await viewer.request("statistics")
            return answer["plugindata"]["data"]["result"]["statistics"]["sound"]

    return run(ask())


def hears_tones(screen: RemoteScreen) -> bool:
    loudest = screen.page.evaluate(LOUDEST)
    # As fine as the analyser tells them apart. For a tenth of each second they are higher.
    return bool(loudest) and all(
        abs(heard - tone) < 4 for heard, tone in zip(loudest, TONES_HZ, strict=True)
    )


def level_of_sound(screen: RemoteScreen) -> float:
    return screen.page.locator("#sound-level").evaluate("meter => meter.value")


def test_the_computer_is_heard_by_who_wants_to(live: RemoteScreen, device: Device):
    connections = live.peer_connections
    assert statistics_of_sound(device)["open"] is False
    with live.by_itself():
        live.page.locator("#sound").click()
        live.wait_until(lambda: hears_tones(live), "the tones of the computer, left and right")
        live.wait_until(lambda: level_of_sound(live) > 0.5, "the level of the tones")
        said = statistics_of_sound(device)
        assert (said["listeners"], said["open"]) == (1, True)
        # The picture goes on in the same connection.
        live.wait_for_frame(captured_after=time.time())
        assert live.peer_connections == connections

        play(device, "gone")
        live.wait_until(
            lambda: live.page.evaluate(LOUDEST) == [0, 0], "silence while there is no device"
        )
        live.wait_until(lambda: level_of_sound(live) == 0, "no level of silence")
        play(device, "rate=44100")
        live.wait_until(lambda: hears_tones(live), "the same tones, however many samples they have")

        live.page.locator("#sound").click()
        wait_until(
            lambda: not statistics_of_sound(device)["open"],
            "nothing is captured, because nobody listens",
        )
        live.wait_for_frame(captured_after=time.time())
        live.page.locator("#sound").click()
        live.wait_until(lambda: hears_tones(live), "the tones again")
    # Who comes back hears as before.
    live.page.reload()
    live.wait_until_live()
    live.wait_until(lambda: hears_tones(live), "the tones after a reload")
    assert live.console == []


def left_of(frame: av.AudioFrame) -> array:
    """The left channel of 16-bit stereo. The plane has room for more than is in it."""
    return array("h", bytes(frame.planes[0])[: frame.samples * 4])[::2]


def left_samples_in(path: str) -> array:
    resampler = av.AudioResampler(format="s16", layout="stereo", rate=48000)
    samples = array("h")
    with av.open(str(path)) as file:
        for frame in file.decode(audio=0):
            for piece in resampler.resample(frame):
                samples.extend(left_of(piece))
    return samples


def test_a_recording_has_what_is_heard(live: RemoteScreen):
    live.page.locator("#sound").click()
    live.wait_until(lambda: hears_tones(live), "the tones of the computer")
    open_menu(live)
    button(live, "Record").click()
    live.collect(RECORDED_FRAMES)
    with downloading(live) as file:
        button(live, "Record").click()
    assert len(frames_in(file["path"])) > RECORDED_FRAMES / 2
    samples = left_samples_in(file["path"])
    assert len(samples) > 48000 / 4
    heard = max(loudness(samples, 440), loudness(samples, 880))
    assert heard > 10 * loudness(samples, 550)


@dataclass
class Ear(Listener):
    """Keeps samples of the left channel and codes of pictures, with their capture times."""

    sounds: list[tuple[int, array]] = field(default_factory=list)
    codes: list[tuple[int, int]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.origins: dict[str, int] = {}

    async def __aexit__(self, *error):
        # aiortc counts timestamps from the first on, and keeps that to itself.
        for transceiver in self._peer.getTransceivers():
            mapper = transceiver.receiver._RTCRtpReceiver__timestamp_mapper
            self.origins[transceiver.kind] = mapper._origin
        await super().__aexit__(*error)

    async def _decode(self, track):
        while True:
            try:
                frame = await track.recv()
            except MediaStreamError:
                return
            if track.kind == "audio":
                self.sounds.append((frame.pts, left_of(frame)))
            elif code := read_code(bytes(frame.planes[0]), frame.planes[0].line_size):
                self.codes.append((frame.pts, code[1]))


async def listen(device: Device, packets: int) -> Ear:
    async with Ear(device.socket_url, device.cookie()) as listener:
        await listener.watch()
        async with asyncio.timeout(PATIENCE_SECONDS):
            while len(listener.sounds) < packets or not listener.codes:
                await asyncio.sleep(0.05)
    return listener


def seconds_of(timestamp: int, hz: int, near: float) -> float:
    """The uptime that a timestamp tells, which has gone round some times."""
    turn = (1 << 32) / hz
    return timestamp / hz + round((near - timestamp / hz) / turn) * turn


def loudness(samples: array, hz: float) -> float:
    """Of one tone in these samples of 48 kHz."""
    wave = waves(hz, len(samples))
    return math.hypot(*(sum(map(mul, samples, part)) for part in wave)) / len(samples)


@cache
def waves(hz: float, length: int) -> tuple[list[float], list[float]]:
    angles = [2 * math.pi * hz / 48000 * i for i in range(length)]
    return [math.cos(angle) for angle in angles], [math.sin(angle) for angle in angles]


def marks(listener: Ear, uptime: float) -> list[float]:
    """When the tone became an octave higher, as the sound's timestamps tell."""
    window, step = 480, 48  # 10 ms, 1 ms
    found = []
    begin, end = listener.sounds[0][0], listener.sounds[-1][0]
    first = listener.origins["audio"] + begin
    # Each at its place: a busy machine may have lost one.
    samples = array("h", bytes(2 * (end - begin)))
    for timestamp, piece in listener.sounds[:-1]:
        samples[timestamp - begin : timestamp - begin + len(piece)] = piece
    high = [
        loudness(samples[at : at + window], 880) > loudness(samples[at : at + window], 440)
        for at in range(0, len(samples) - window, step)
    ]
    for i in range(50, len(high) - 50):
        if not any(high[i - 50 : i]) and all(high[i : i + 50]):
            found.append(seconds_of(first + i * step + window // 2, 48000, uptime))
    return found


def test_sound_and_picture_tell_the_same_time(device: Device):
    """Both carry capture times, so a browser can keep lips in sync. The picture says when it was made, and the sound
    when a second began."""
    listener = run(listen(device, PACKETS))
    uptime, ahead = time.monotonic(), time.time() - time.monotonic()
    heard = marks(listener, uptime)
    assert len(heard) >= 2
    sound_ms = statistics.median(
        (moment + ahead - round(moment + ahead)) * 1000 for moment in heard
    )
    # The picture tells the lower 40 bits of the clock's microseconds.
    turned_us = int(time.time() * 1e6) >> 40 << 40
    picture_ms = statistics.median(
        (
            seconds_of(listener.origins["video"] + timestamp, 90000, uptime)
            + ahead
            - (turned_us + made_us) / 1e6
        )
        * 1000
        for timestamp, made_us in listener.codes
    )
    assert abs(sound_ms) < MOST_APART_MS
    assert abs(sound_ms - picture_ms) < MOST_APART_MS, (sound_ms, picture_ms)
