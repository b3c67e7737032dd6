# SPDX-License-Identifier: MIT
"""The facts as Prometheus' families. What is not known has no series, and is never a zero.

Each label has a fixed set of values, so that an exposition stays small whatever happens.
"""

from __future__ import annotations

import resource
from collections.abc import Iterable, Iterator

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)

from tinypilot.healing import KINDS, OTHER_KIND
from tinypilot.monitoring.facts import Facts
from tinypilot.video import hdmi
from tinypilot.video.numbers import LATE, NO_KEY, REPLACED

WEBRTC = "webrtc"
# Frames that were gone before Janus' plugin looked; it counts how often that happened.
MISSED = "missed"


class _Collector:
    def __init__(self, facts: Facts):
        self._facts = facts

    def collect(self) -> Iterator[Metric]:
        for family in (
            *_build(self._facts),
            *_frames(self._facts),
            *_sound(self._facts),
            *_services(self._facts),
            *_picture(self._facts),
            *_machine(self._facts),
        ):
            if family.samples:
                yield family


def exposition(facts: Facts) -> bytes:
    registry = CollectorRegistry()
    registry.register(_Collector(facts))
    return generate_latest(registry)


def _gauge(name: str, words: str, value: float | None) -> GaugeMetricFamily:
    family = GaugeMetricFamily(name, words, labels=[])
    if value is not None:
        family.add_metric([], value)
    return family


def _labelled(
    family: type, name: str, words: str, labels: list[str], values: Iterable[tuple]
) -> Metric:
    """values: of labels and last the value, if that is known."""
    made = family(name, words, labels=labels)
    for *of, value in values:
        if value is not None:
            made.add_metric(of, value)
    return made


def _build(facts: Facts) -> list[Metric]:
    labels = ["version", "debian", "janus"]
    values = [(*(facts.versions.get(label, "") for label in labels), 1)]
    return [
        _labelled(
            GaugeMetricFamily,
            "kvm_build_info",
            "Which page, release of Debian and Janus the device has.",
            labels,
            values if facts.versions else (),
        )
    ]


def _frames(facts: Facts) -> list[Metric]:
    plugin = facts.supervisor.get("statistics") or {}
    transports = {name: told for name, told in facts.relay.items() if isinstance(told, dict)}
    drops = [
        (WEBRTC, MISSED, plugin.get("gaps")),
        (WEBRTC, NO_KEY, plugin.get("frames_held_back")),
    ]
    for name, told in transports.items():
        reasons = (REPLACED, LATE, NO_KEY) if name == "webcodecs" else (REPLACED,)
        drops += [(name, reason, told["dropped"].get(reason, 0)) for reason in reasons]
    captured = CounterMetricFamily(
        "kvm_frames_captured",
        "Frames that uStreamer has captured: its own rate, looked at every two seconds, summed up.",
        labels=[],
    )
    if facts.supervisor:
        captured.add_metric([], facts.supervisor.get("frames_captured", 0))
    latency = HistogramMetricFamily(
        "kvm_capture_to_send_seconds",
        "From the capture of a frame to when it is given to the network's queue, for each frame that somebody is sent "
        "(webrtc), or for each that each viewer is sent (the others).",
        labels=["transport"],
    )
    for name, told in ((WEBRTC, plugin), *transports.items()):
        if measured := told.get("latency"):
            buckets, total = _buckets(measured)
            latency.add_metric([name], buckets=buckets, sum_value=total)
    return [
        captured,
        _labelled(
            CounterMetricFamily,
            "kvm_frames_encoded",
            "Encoded frames that came to this transport: H.264 for webrtc and webcodecs, JPEG for each of mjpeg.",
            ["transport"],
            [
                (WEBRTC, plugin.get("frames_read")),
                *((name, told["encoded"]) for name, told in transports.items()),
            ],
        ),
        _labelled(
            CounterMetricFamily,
            "kvm_frames_sent",
            "Frames sent, to all viewers together.",
            ["transport"],
            [
                (WEBRTC, plugin.get("frames_sent")),
                *((name, told["sent"]) for name, told in transports.items()),
            ],
        ),
        _labelled(
            CounterMetricFamily,
            "kvm_frames_dropped",
            "Frames that viewers were not sent. missed: gone before they were read (how often that happened); no_key: "
            "what they need was not sent; late: waited for too long; replaced: a newer one was there.",
            ["transport", "reason"],
            drops,
        ),
        _labelled(
            GaugeMetricFamily,
            "kvm_viewers",
            "Who is being sent the picture now.",
            ["transport"],
            [
                (WEBRTC, plugin.get("viewers")),
                *((name, told["viewers"]) for name, told in transports.items()),
            ],
        ),
        latency,
    ]


def _sound(facts: Facts) -> list[Metric]:
    """Where it is set up: the plugin says nothing of it elsewhere."""
    told = (facts.supervisor.get("statistics") or {}).get("sound") or {}
    return [
        _gauge("kvm_sound_listeners", "Who is being sent the sound now.", told.get("listeners")),
        _gauge(
            "kvm_sound_device_open",
            "Whether the sound device is captured from. While nobody listens it is not.",
            None if "open" not in told else float(told["open"]),
        ),
        _labelled(
            CounterMetricFamily,
            "kvm_sound_packets",
            "Packets of 20 ms, whoever listens. silent: those for which nothing came from the device.",
            ["kind"],
            [
                ("captured", told["packets"] - told["silent"]),
                ("silent", told["silent"]),
            ]
            if told
            else (),
        ),
    ]


def _buckets(measured: dict) -> tuple[list[tuple[str, float]], float]:
    """As Prometheus wants them: how many took at most so long."""
    bounds = [str(bound / 1000) for bound in measured["bounds_ms"]] + ["+Inf"]
    buckets, count = [], 0
    for bound, frames in zip(bounds, measured["frames"], strict=True):
        count += frames
        buckets.append((bound, count))
    return buckets, measured["sum_us"] / 1e6


def _services(facts: Facts) -> list[Metric]:
    healings = []
    for unit in facts.units:
        kinds = facts.healings[unit].kinds if unit in facts.healings else {}
        # Zeros, too: an increase from nothing can't be seen.
        healings += [(unit, kind, kinds.get(kind, 0)) for kind in (*KINDS.values(), OTHER_KIND)]
    return [
        _labelled(
            GaugeMetricFamily,
            "kvm_service_active",
            "Whether systemd says that the service runs.",
            ["unit"],
            [(name, float(unit.is_active)) for name, unit in facts.units.items()],
        ),
        _labelled(
            CounterMetricFamily,
            "kvm_service_restarts",
            "How often systemd has started the service anew because it had ended, for whatever reason.",
            ["unit"],
            [(name, unit.restarts) for name, unit in facts.units.items()],
        ),
        _labelled(
            CounterMetricFamily,
            "kvm_healings",
            "How often a service was started anew because it hung, since the start of the device. no_sign_of_life: by "
            "systemd's watchdog; the others: by the supervisor.",
            ["unit", "reason"],
            healings,
        ),
    ]


def _picture(facts: Facts) -> list[Metric]:
    source = facts.source
    size = source.get("resolution") or {}
    is_ok: float | None = None
    if facts.has_signal is False:
        is_ok = 0
    elif facts.has_signal and facts.video and facts.video.is_ok is not None:
        is_ok = float(facts.video.is_ok)
    has_signal = None if facts.has_signal is None else float(facts.has_signal)
    seen = source if has_signal else {}
    return [
        _gauge(
            "kvm_signal",
            "Whether the attached computer sends a picture that this device can show.",
            has_signal,
        ),
        _labelled(
            GaugeMetricFamily,
            "kvm_signal_state",
            "What comes over the video cable: 1 for the state that holds.",
            ["state"],
            [(state, float(state == facts.signal)) for state in hdmi.STATES]
            if facts.signal
            else (),
        ),
        _gauge(
            "kvm_source_width_pixels",
            "Width of the captured picture.",
            size.get("width") if seen else None,
        ),
        _gauge(
            "kvm_source_height_pixels",
            "Height of the captured picture.",
            size.get("height") if seen else None,
        ),
        _gauge(
            "kvm_source_frames_per_second",
            "Frames that were captured in the last second. While nobody watches uStreamer captures one or two.",
            seen.get("captured_fps"),
        ),
        _gauge(
            "kvm_video_ok",
            "1 only if a key frame and the frame after it were lately taken from the encoder and decoded here. 0 "
            "without a signal, too: kvm_signal tells that.",
            is_ok,
        ),
        _gauge(
            "kvm_video_checked_timestamp_seconds",
            "When frames were last decoded, or could not be.",
            facts.video.by_clock if facts.video else None,
        ),
    ]


def _machine(facts: Facts) -> list[Metric]:
    used = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
    return [
        _labelled(
            GaugeMetricFamily,
            "kvm_temperature_celsius",
            "What the machine's sensors say.",
            ["zone"],
            facts.temperatures_celsius.items(),
        ),
        _labelled(
            GaugeMetricFamily,
            "kvm_throttled",
            "Whether a Pi's firmware slows it down now, and why.",
            ["condition"],
            [(name, float(now)) for name, (now, _) in facts.throttling.items()],
        ),
        _labelled(
            GaugeMetricFamily,
            "kvm_throttled_since_start",
            "The same at any time since the start of the device.",
            ["condition"],
            [(name, float(ever)) for name, (_, ever) in facts.throttling.items()],
        ),
        _gauge(
            "kvm_certificate_end_timestamp_seconds",
            "When the certificate ends that browsers are shown.",
            facts.certificate_ends,
        ),
        _labelled(
            GaugeMetricFamily,
            "kvm_disk_free_bytes",
            "What programs that are not root may still write.",
            ["path"],
            [(path, disk.free_bytes) for path, disk in facts.disks.items()],
        ),
        _labelled(
            GaugeMetricFamily,
            "kvm_disk_size_bytes",
            "Size of the file system.",
            ["path"],
            [(path, disk.size_bytes) for path, disk in facts.disks.items()],
        ),
        _labelled(
            GaugeMetricFamily,
            "kvm_disk_read_only",
            "Whether the file system takes nothing any more.",
            ["path"],
            [(path, float(disk.is_read_only)) for path, disk in facts.disks.items()],
        ),
        _labelled(
            CounterMetricFamily,
            "kvm_monitoring_cpu_seconds",
            "What these metrics cost, with the frames that are decoded for them.",
            [],
            [(sum(each.ru_utime + each.ru_stime for each in used),)],
        ),
    ]
