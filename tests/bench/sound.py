# SPDX-License-Identifier: MIT
"""How late sound and picture are in Chromium, read out of both: the computer's tone is an octave higher from the
beginning of each second on, and the picture says when it was captured."""

from __future__ import annotations

import time

from playwright.sync_api import Browser

from tests.support.device import Device
from tests.support.remote_screen import RemoteScreen, new_screen

from .figures import median, milliseconds, percentile, table
from .load import cpu_seconds, viewers

RUNS = 3
RUN_SECONDS = 20
# The browser's buffer begins long, and finds out what it needs.
SETTLE_SECONDS = 40
PERCENTS = (50, 95)
LISTENERS = (1, 8, 16)
LISTENERS_SECONDS = 20

# For so many seconds: when each second's first sample was played, and what the browser's buffer did meanwhile. Blocks
# of samples come at an even pace; their times are those of the ones that were handed over with the least delay.
_LISTEN = """async (seconds) => {
  const RATE = 48000, WINDOW = 480, STEP = 48, CALM = 200;
  const { connection } = observer.peers.at(-1);
  const receiver = connection.getReceivers().find(({ track }) => track?.kind === 'audio');
  const statistics = async () =>
    [...(await receiver.getStats()).values()].find(({ type }) => type === 'inbound-rtp');
  const before = await statistics();
  const reader = new MediaStreamTrackProcessor({ track: receiver.track.clone() }).readable.getReader();
  const samples = new Float32Array((seconds + 1) * RATE);
  let count = 0, beganMs = Infinity;
  while (count < seconds * RATE) {
    const { value } = await reader.read();
    if (value.sampleRate !== RATE) throw new Error(`${value.sampleRate} Hz`);
    value.copyTo(samples.subarray(count, count + value.numberOfFrames), { planeIndex: 0, format: 'f32-planar' });
    beganMs = Math.min(beganMs, observer.clockOffset + performance.now() - (count * 1000) / RATE);
    count += value.numberOfFrames;
    value.close();
  }
  await reader.cancel();
  const after = await statistics();
  const loudness = (at, hz) => {
    let real = 0, imaginary = 0;
    for (let i = 0; i < WINDOW; i += 1) {
      const angle = (2 * Math.PI * hz * i) / RATE;
      real += samples[at + i] * Math.cos(angle);
      imaginary += samples[at + i] * Math.sin(angle);
    }
    return Math.hypot(real, imaginary);
  };
  const marks = [];
  let low = 0;
  for (let at = 0; at + WINDOW < count; at += STEP) {
    const isHigh = loudness(at, 880) > loudness(at, 440);
    if (isHigh && low > CALM) marks.push((beganMs + ((at + WINDOW / 2) * 1000) / RATE) / 1000);
    low = isHigh ? 0 : low + 1;
  }
  const emitted = after.jitterBufferEmittedCount - before.jitterBufferEmittedCount;
  return { marks, buffered: (after.jitterBufferDelay - before.jitterBufferDelay) / emitted };
}"""


def listen(screen: RemoteScreen) -> tuple[list[float], list[float], float]:
    """How late sound was, and pictures meanwhile; for how long sound was in the browser's buffer. Seconds."""
    start = screen.newest.number
    heard = screen.page.evaluate(_LISTEN, RUN_SECONDS)
    frames = [frame for frame in screen.frames_since(start) if frame.is_good]
    # The tone tells the second's fraction.
    sounds = [mark % 1 for mark in heard["marks"]]
    return sounds, [frame.at - frame.stamp for frame in frames], heard["buffered"]


def share_of_janus(device: Device, count: int, *words: str) -> float:
    """Of a core, in percent."""
    with viewers(device, count, "light_viewers", "janus/ws", *words):
        before, began = cpu_seconds(device)["janus"], time.monotonic()
        time.sleep(LISTENERS_SECONDS)
        used, seconds = cpu_seconds(device)["janus"] - before, time.monotonic() - began
    return 100 * used / seconds


def cost(device: Device) -> str:
    rows = [
        [
            count,
            f"{share_of_janus(device, count):.1f} %",
            f"{share_of_janus(device, count, 'sound'):.1f} %",
        ]
        for count in LISTENERS
    ]
    return table(["viewers", "Janus, without sound", "with sound for each"], rows)


def measure(browser: Browser, device: Device) -> str:
    sounds, pictures, apart, buffered = [], [], [], []
    for _ in range(RUNS):
        screen = new_screen(browser, device)
        screen.open().wait_until_live()
        screen.page.locator("#sound").click()
        screen.page.wait_for_timeout(SETTLE_SECONDS * 1000)
        of_sounds, of_pictures, in_buffer = listen(screen)
        screen.page.close()
        middle = median(of_pictures)
        sounds += of_sounds
        pictures += of_pictures
        apart += [sound - middle for sound in of_sounds]
        buffered.append(in_buffer)
    rows = [
        [what, *(milliseconds(percentile(seconds, percent)) for percent in PERCENTS)]
        for what, seconds in (
            ("sound, from its capture until it is played", sounds),
            ("pictures, from their capture until they are presented", pictures),
            ("by how much sound is later than the picture", apart),
        )
    ]
    return (
        f"{RUNS} runs of {RUN_SECONDS} s in Chromium, which kept the sound in its buffer for "
        f"{milliseconds(median(buffered))} ms. What a loudspeaker adds is not in it.\n\n"
        + table(["", *(f"p{percent} ms" for percent in PERCENTS)], rows)
        + f"\n\nShare of one core over {LISTENERS_SECONDS} s; the viewers decode nothing.\n\n"
        + cost(device)
    )
