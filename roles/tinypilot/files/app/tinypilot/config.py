# SPDX-License-Identifier: MIT
"""What the provisioning decided, read once from one JSON file."""

import json
import os
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

CONFIG_FILE_VARIABLE = "TINYPILOT_CONFIG"
DEFAULT_CONFIG_FILE = "/etc/tinypilot/web.json"

PATHS = (
    "atx_socket",
    "auth_file",
    "device_test_socket",
    "h264_sink",
    "hdmi_socket",
    "hid_socket",
    "hook_socket",
    "janus_socket",
    "janus_token_file",
    "media_dir",
    "media_drives",
    "media_fetch_socket",
    "media_socket",
    "metrics_socket",
    "nginx_socket",
    "settings_declarations",
    "settings_dir",
    "settings_socket",
    "ustreamer_socket",
    "wake_socket",
)

# With their unit as the last part of the name.
NUMBERS = (
    "idle_minutes",
    "absolute_minutes",
    "input_idle_seconds",
    "media_max_mib",
    "media_free_mib",
)


@dataclass(frozen=True)
class Atx:
    """The buttons and lights of the attached computer that are connected, and at which line of the GPIO chip; which of
    them are active when their level is low."""

    chip: str
    lines: Mapping[str, int]
    active_low: tuple[str, ...]


@dataclass(frozen=True)
class Redfish:
    """By type of ComputerSystem.Reset the command of the inventory that does it, and the machine that Wake-on-LAN
    switches on for it; empty: none."""

    hooks: Mapping[str, str]
    machine: str


class ConfigError(ValueError):
    """The configuration file says something that the web app cannot work with."""


@dataclass(frozen=True)
class Config:
    """`name` is shown to people; `auth_file` is the database of users and sessions; `janus_token_file` holds the secret
    that Janus' tokens are signed with; `h264_sink` is the shared memory that uStreamer writes H.264 into; at
    `nginx_socket` nginx tells that it and the web app live, at `metrics_socket` the device tells of itself, at
    `device_test_socket` what it holds when it is measured; in `settings_declarations` is what may be set in the page,
    in `settings_dir` what is set, and to `settings_socket` listens who applies it, to `wake_socket` who sends magic
    packets, to `hid_socket` who has keyboard and mouse, to `atx_socket` who presses the buttons of `atx`, which is None
    where none are connected; to `hook_socket` listens who runs commands of the operator's, and `power_hooks` are their
    names, each with the seconds that it may take; `redfish` is None where nobody is to answer to that; `services` are
    the units that a person may restart, `log_units` further ones that the log for people has; `janus_ice_servers` are
    the kinds that Janus was given, as it names them; `has_sound` tells whether it sends sound to who asks for it; a
    session ends so many minutes after its last use, and after its beginning; the controls may be taken from whoever has
    not used them for so many seconds; `media_dir` holds images of disks, up to `media_max_mib` together, and leaves
    `media_free_mib` free on its file system, `media_drives` is the gadget's function with the drives, and at
    `media_socket` listens who puts images into them; to `media_fetch_socket` listens who fetches images by https, from
    the hosts `media_sources`, and from the networks `media_source_networks` also where these are not public."""

    name: str
    auth_file: Path = Path("/var/lib/tinypilot/auth.sqlite3")
    janus_socket: Path = Path("/run/janus/ws.sock")
    janus_token_file: Path = Path("/etc/kvm-signalling/token.jcfg")
    ustreamer_socket: Path = Path("/run/ustreamer/http.sock")
    h264_sink: Path = Path("/dev/shm/kvm::h264")
    hdmi_socket: Path = Path("/run/kvm-hdmi/hdmi.sock")
    hid_socket: Path = Path("/run/tinypilot/hid.sock")
    nginx_socket: Path = Path("/run/tinypilot/nginx.sock")
    media_dir: Path = Path("/var/lib/kvm-media")
    media_drives: Path = Path("/sys/kernel/config/usb_gadget/kvm/functions/mass_storage.media")
    media_socket: Path = Path("/run/tinypilot/media.sock")
    media_fetch_socket: Path = Path("/run/tinypilot/fetch.sock")
    metrics_socket: Path = Path("/run/tinypilot/metrics.sock")
    device_test_socket: Path = Path("/run/tinypilot/device-test.sock")
    settings_declarations: Path = Path("/etc/kvm-settings")
    settings_dir: Path = Path("/var/lib/kvm-settings")
    settings_socket: Path = Path("/run/tinypilot/apply.sock")
    wake_socket: Path = Path("/run/tinypilot/wake.sock")
    atx_socket: Path = Path("/run/tinypilot/atx.sock")
    atx: Atx | None = None
    hook_socket: Path = Path("/run/tinypilot/hook.sock")
    power_hooks: tuple[tuple[str, int], ...] = ()
    redfish: Redfish | None = None
    services: tuple[str, ...] = ()
    log_units: tuple[str, ...] = ()
    janus_ice_servers: tuple[str, ...] = ()
    has_sound: bool = False
    idle_minutes: int = 60
    absolute_minutes: int = 1440
    input_idle_seconds: int = 60
    media_max_mib: int = 8192
    media_free_mib: int = 1024
    media_sources: tuple[str, ...] = ()
    media_source_networks: tuple[str, ...] = ()

    @classmethod
    def from_environment(cls) -> "Config":
        return cls.from_file(Path(os.environ.get(CONFIG_FILE_VARIABLE, DEFAULT_CONFIG_FILE)))

    @classmethod
    def from_file(cls, path: Path) -> "Config":
        try:
            values = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise ConfigError(f"{path} cannot be read: {error}") from error
        if not isinstance(values, dict):
            raise ConfigError(f"{path} must hold a JSON object")
        return cls.from_values(values)

    @classmethod
    def from_values(cls, values: Mapping) -> "Config":
        fields: dict[str, Any] = {}
        for name in NUMBERS:
            fields[name] = values.get(name, getattr(cls, name))
            if type(fields[name]) is not int or fields[name] < 1:
                raise ConfigError(f"{name} must be a whole number of {name.rpartition('_')[2]}")
        for name in PATHS:
            fields[name] = Path(values.get(name, getattr(cls, name)))
        return cls(
            name=str(values.get("name") or socket.gethostname()),
            services=tuple(values.get("services", ())),
            log_units=tuple(values.get("log_units", ())),
            janus_ice_servers=tuple(values.get("janus_ice_servers", ())),
            has_sound=bool(values.get("has_sound", False)),
            media_sources=tuple(values.get("media_sources", ())),
            media_source_networks=tuple(values.get("media_source_networks", ())),
            power_hooks=tuple(
                (str(name), int(seconds)) for name, seconds in values.get("power_hooks", {}).items()
            ),
            atx=_atx(values["atx"]) if values.get("atx") else None,
            redfish=_redfish(values["redfish"]) if values.get("redfish") else None,
            **fields,
        )


def _atx(values: Mapping) -> Atx:
    try:
        lines = {str(name): int(line) for name, line in values["lines"].items()}
        return Atx(str(values["chip"]), lines, tuple(values["active_low"]))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ConfigError("atx must have chip, lines and active_low") from error


def _redfish(values: Mapping) -> Redfish:
    try:
        hooks = {str(kind): str(hook) for kind, hook in values["hooks"].items()}
        return Redfish(hooks, str(values["machine"]))
    except (KeyError, TypeError, AttributeError) as error:
        raise ConfigError("redfish must have hooks and machine") from error
