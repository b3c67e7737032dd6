# SPDX-License-Identifier: MIT
"""Each mistake gets one sentence that names the variable, the value and what is allowed; nothing is changed."""

import platform

import pytest

from plugins.module_utils.prebuilt import FORMAT, KEYS, pack
from tests.support.ansible import play
from tests.support.device import Device

BARE, BOOKWORM, NO_INIT = Device("kvm-bare"), Device("kvm-bookworm"), Device("kvm-no-init")
# Says of the host what a play could have changed: packages, units, users, files of the product.
FINGERPRINT = (
    "dpkg-query -W | sha256sum; getent passwd | sha256sum; getent group | sha256sum; "
    "find /etc /opt /usr/local /run/systemd/system | sort | sha256sum"
)


def assert_refused(device, variables, *sentences):
    before = device.sh(FINGERPRINT)
    played = play(device, variables=variables)
    assert played.code != 0
    for sentence in sentences:
        assert sentence in played.output
    assert played.changed == 0
    assert device.sh(FINGERPRINT) == before


@pytest.mark.parametrize(
    ("variables", "sentences"),
    [
        pytest.param(
            {
                "janus_upstream_commit": "master",
                "janus_prefix": "/usr/local",
                "janus_config_dir": "/etc",
                "janus_rtp_port_first": None,
                "janus_source": "snap",
                "janus_prebuilt": "janus.tar.xz",
                "janus_stun_server": "stun.example:65536",
                "janus_session_timeout": 5,
            },
            [
                "janus_upstream_commit is 'master': it must be a commit of 40 hexadecimal digits.",
                "janus_prefix is '/usr/local': it must be a path below /opt",
                "janus_config_dir is '/etc': it must be a folder below /etc",
                "janus_rtp_port_first is empty: it must be a whole number",
                "janus_source is 'snap': it must be one of debian, upstream",
                "janus_prebuilt is 'janus.tar.xz': it must be the absolute path of a tarball on the controller, or "
                "empty.",
                "janus_stun_server is 'stun.example:65536': it must be host:port with a port from 1 to 65535, or "
                "empty.",
                "janus_session_timeout: there is no such variable. Did you mean janus_session_timeout_seconds?",
            ],
            id="janus",
        ),
        pytest.param(
            {
                "ustreamer_h264_bitrate_kbps": 50000,
                "ustreamer_h264_gop_frames": 61,
                "ustreamer_frame_rate": -1,
                "ustreamer_resolution": "1080p",
                "ustreamer_source": "github",
                "ustreamer_upstream_commit": "b5e12a8",
                "ustreamer_upstream_repository": "pikvm/ustreamer",
                "ustreamer_capture_kind": "hdmi",
                "ustreamer_h264_bitrate": 5000,
                "ustreamer_audio_device": 'hw:CARD="; x',
                "ustreamer_sink_name": "video",
                "ustreamer_settings_fixed": ["ustreamer_edid", "ustreamer_bitrate"],
            },
            [
                "ustreamer_h264_bitrate_kbps is 50000: it must be a whole number from 25 to 20000.",
                "ustreamer_h264_gop_frames is 61: it must be a whole number from 0 to 60.",
                "ustreamer_frame_rate is -1: it must be a whole number from 0 to 120.",
                "ustreamer_resolution is '1080p': it must be WIDTHxHEIGHT such as 1920x1080",
                "ustreamer_source is 'github': it must be one of debian, upstream",
                "ustreamer_upstream_commit is 'b5e12a8': it must be a commit of 40 hexadecimal digits.",
                "ustreamer_upstream_repository is 'pikvm/ustreamer': it must be the address of a git repository, "
                "or a folder on the device.",
                "ustreamer_capture_kind is 'hdmi': it must be one of tc358743, usb",
                "ustreamer_audio_device is 'hw:CARD=\"; x': it must be a device of ALSA's such as hw:CARD=tc358743, "
                "or empty.",
                "ustreamer_h264_bitrate: there is no such variable. Did you mean ustreamer_h264_bitrate_kbps?",
                "ustreamer_settings_fixed is ['ustreamer_edid', 'ustreamer_bitrate']: it must be a list of settings of "
                "this role: ustreamer_h264_bitrate_kbps,",
                "ustreamer_sink_name is 'video': it must be a name of letters, digits and .:-_ that ends in :h264",
            ],
            id="ustreamer",
        ),
        pytest.param(
            {
                "tinypilot_session_idle_minute": 5,
                "tinypilot_https_port": 443,
                "tinypilot_acme_contact": "ada@example.org",
                "tinypilot_sockets_dir": "/run/kvm/tinypilot",
                "tinypilot_session_idle_minutes": 0,
                "tinypilot_ice_servers": ["stun:stun.example:65536"],
                "tinypilot_turn_secret": "short",
                "tinypilot_settings_fixed": ["ustreamer_edid"],
                "tinypilot_media_dir": "/home",
                "tinypilot_media_max_mib": 0,
                "tinypilot_media_sources": ["https://images.example/"],
                "tinypilot_media_source_networks": ["192.168.7.300/24"],
                "tinypilot_atx_chip": "gpiochip0",
                "tinypilot_atx_reset_button_line": "GPIO27",
                "tinypilot_atx_power_led_line": -2,
                "tinypilot_atx_active_low": ["power"],
            },
            [
                "tinypilot_atx_chip is 'gpiochip0': it must be a GPIO chip such as /dev/gpiochip0, or empty.",
                "tinypilot_atx_reset_button_line is 'GPIO27': it must be a whole number from -1 to 1023.",
                "tinypilot_atx_power_led_line is -2: it must be a whole number from -1 to 1023.",
                "tinypilot_atx_active_low is ['power']: it must be a list of power_button, reset_button, power_led and "
                "disk_led.",
                "tinypilot_session_idle_minute: there is no such variable. Did you mean "
                "tinypilot_session_idle_minutes?",
                "tinypilot_https_port is called gateway_https_port now: rename it in the inventory.",
                "tinypilot_acme_contact is called gateway_acme_contact now: rename it in the inventory.",
                "tinypilot_sockets_dir is '/run/kvm/tinypilot': it must be a folder of its own below /run",
                "tinypilot_session_idle_minutes is 0: it must be a whole number from 1 to 10080.",
                "tinypilot_ice_servers is ['stun:stun.example:65536']: it must be a list of URLs such as "
                "stun:host:3478 or turns:host:5349?transport=tcp, with ports from 1 to 65535.",
                "tinypilot_turn_secret is (not shown): it must be text of 16 to 256 ASCII characters, or empty.",
                "tinypilot_settings_fixed is ['ustreamer_edid']: it must be a list of settings of this role: "
                "tinypilot_ice_servers,",
                "tinypilot_media_dir is '/home': it must be a folder of its own below /var/lib, /srv, /mnt or /media.",
                "tinypilot_media_max_mib is 0: it must be a whole number from 1 to 16777216.",
                "tinypilot_media_sources is ['https://images.example/']: it must be a list of hosts such as "
                "images.example, images.example:8443, *.images.example or *, without https://",
                "tinypilot_media_source_networks is ['192.168.7.300/24']: it must be a list of networks such as "
                "192.168.7.0/24 or fd12:3456::/32",
            ],
            id="tinypilot",
        ),
        pytest.param(
            {
                "gateway_https_port": 70000,
                "gateway_port": 443,
                "gateway_acme_directory_url": "http://acme.example/directory",
                "gateway_hosts": ["https://kvm.example"],
                "gateway_settings_fixed": ["tinypilot_host_name"],
            },
            [
                "gateway_https_port is 70000: it must be a whole number from 1 to 65535.",
                "gateway_port: there is no such variable. Did you mean gateway_http_port?",
                "gateway_acme_directory_url is 'http://acme.example/directory': it must be the https URL of an "
                "ACME server's directory such as https://acme-v02.api.letsencrypt.org/directory, or empty.",
                "gateway_hosts is ['https://kvm.example']: it must be a list of host names.",
                "gateway_settings_fixed is ['tinypilot_host_name']: it must be a list of settings of this role: "
                "gateway_host_name, gateway_certificate_and_key.",
            ],
            id="gateway",
        ),
        pytest.param(
            {
                "gateway_http_port": 443,
                "gateway_certificate_file": "/etc/own.pem",
                "gateway_acme_directory_url": "https://acme.example/directory",
                "gateway_certificate_names": [
                    "kvm.example.org",
                    "192.0.2.7",
                    "2001:db8::7",
                    "rack.Local",
                    "rack",
                    "*.example.org",
                ],
            },
            [
                "gateway_http_port and gateway_https_port are both 443: they must differ.",
                "gateway_certificate_key_file is empty: a certificate of your own needs both",
                "gateway_acme_directory_url and gateway_certificate_file are both set",
                "gateway_certificate_names has 192.0.2.7, 2001:db8::7, rack.Local, rack, *.example.org: with",
            ],
            id="that do not go together",
        ),
    ],
)
def test_all_mistakes_are_named_at_once(variables, sentences):
    assert_refused(BARE, variables, *sentences)


@pytest.mark.parametrize(
    ("variables", "sentence"),
    [
        pytest.param(
            variables,
            sentence,
            id=next(iter(variables)) + "=" + str(next(iter(variables.values()))),
        )
        for variables, sentence in [
            (
                {"ustreamer_h264_bitrate_kbps": "fast"},
                "ustreamer_h264_bitrate_kbps is 'fast': it must be a whole number from 25 to 20000.",
            ),
            (
                {"ustreamer_upstream_version": "v7.0", "ustreamer_source": "upstream"},
                "ustreamer_upstream_version is v7.0: versions 5.0 to 6.62 are known to work",
            ),
            (
                {"ustreamer_plugin": "upstream"},
                "ustreamer_plugin is upstream, and Debian's uStreamer comes without one: set ustreamer_source to "
                "upstream, or ustreamer_plugin to bundled.",
            ),
            (
                {
                    "janus_source": "debian",
                    "ustreamer_source": "upstream",
                    "ustreamer_plugin": "upstream",
                },
                "ustreamer_plugin is upstream, and the plugin of uStreamer 6.62 needs Janus 1.2.1 or newer, not "
                "1.1.2: take a newer Janus, an older uStreamer, or set ustreamer_plugin to bundled.",
            ),
            # As with a uStreamer of tomorrow.
            (
                {"__ustreamer_plugin_layouts": [3, 4]},
                "ustreamer_plugin is bundled, and uStreamer 5.4 writes a sink of layout 2, which this plugin does "
                "not read (3, 4): take an older uStreamer, or set ustreamer_source and ustreamer_plugin to "
                "upstream.",
            ),
            (
                {
                    "ustreamer_source": "upstream",
                    "ustreamer_plugin": "upstream",
                    "ustreamer_upstream_version": "v6.36",
                    "ustreamer_audio_device": "hw:1",
                },
                "ustreamer_audio_device is hw:1, and ustreamer_plugin is upstream: this role gives sound to its own "
                'plugin alone. Set ustreamer_plugin to bundled, or ustreamer_audio_device to "".',
            ),
            (
                {"janus_rtp_port_first": 20063},
                "janus_rtp_port_first is 20063 and janus_rtp_port_last is 20063: the last must be above the first.",
            ),
            (
                {"tinypilot_ice_servers": ["turn:turn.example:3478"]},
                "tinypilot_ice_servers names turn:turn.example:3478: a TURN server needs tinypilot_turn_secret, or "
                "tinypilot_turn_user and tinypilot_turn_password.",
            ),
            (
                {"tinypilot_turn_user": "kvm", "tinypilot_turn_password": "not to be shown"},
                "There are credentials for a TURN server, and tinypilot_ice_servers names none",
            ),
            (
                {"usb_gadget_drives": ["cdrom", "floppy"]},
                "usb_gadget_drives is ['cdrom', 'floppy']: it must be a list of cdrom and disk.",
            ),
            (
                {"usb_gadget_drives": ["disk"] * 9},
                "usb_gadget_drives has 9 drives: the kernel's mass storage has room for 8.",
            ),
            (
                {"gateway_acme_directory_url": "https://acme.example/directory"},
                "gateway_certificate_names is empty: with gateway_acme_directory_url it must have the names",
            ),
            (
                {"tinypilot_users": [{"name": "ada", "role": "admin", "password": "in clear"}]},
                "tinypilot_users, entry 1: it must have a name (1 to 32 of a-z, 0-9 and . _ @ -), a role",
            ),
            (
                {"tinypilot_atx_hardware_required": True, "tinypilot_atx_chip": "/dev/gpiochip7"},
                "tinypilot_atx_chip is /dev/gpiochip7: kvm-bare has no such GPIO chip (No such file or directory).",
            ),
            (
                {
                    "tinypilot_power_hooks": [
                        {"name": "Plug on", "command": "plug on", "timeout_seconds": 5}
                    ]
                },
                "tinypilot_power_hooks, entry 1: it must have a name (1 to 64 characters), a command (a list of texts,",
            ),
            (
                # As YAML has On without quotes.
                {"tinypilot_redfish_hooks": {"true": "A plug that is not there"}},
                "tinypilot_redfish_hooks names true: it must be one of On, ForceOff, GracefulShutdown, ForceRestart,",
            ),
            (
                {"tinypilot_redfish_hooks": {"On": "Plug on"}},
                "tinypilot_redfish_hooks names the command Plug on: tinypilot_power_hooks has no command of that name.",
            ),
            (
                {"tinypilot_atx_disk_led_line": 17},
                "tinypilot_atx_power_button_line and tinypilot_atx_disk_led_line are the same line, 17:",
            ),
            ({"emulated_hardware_allowed": False}, "emulated_hardware_allowed"),
            (
                {"ustreamer_hardware_required": True, "ustreamer_h264_encoder": "v4l2m2m"},
                "kvm-bare has no H.264 encoder at /dev/video11, and ustreamer_h264_encoder is v4l2m2m: set it to "
                "software, or name the device in ustreamer_encoder_device.",
            ),
            (
                {"ustreamer_resolution": "2560x1440"},
                "ustreamer_resolution is 2560x1440, and no more than 1920 pixels in each direction are encoded, as "
                "much as the encoder chip of a Raspberry Pi takes. Set it to 1920x1080: a dongle scales.",
            ),
            (
                {"ustreamer_h264_encoder": "vaapi"},
                "ustreamer_h264_encoder is 'vaapi': it must be one of auto, v4l2m2m, software",
            ),
        ]
    ],
)
def test_a_wrong_variable(variables, sentence):
    assert_refused(BARE, variables, sentence)


# /dev/null stands for an encoder: a character device is all that can be asked of a path before use.
H264_ENCODER_ALONE = {"ustreamer_hardware_required": True, "ustreamer_encoder_device": "/dev/null"}


def test_no_jpeg_encoder():
    assert_refused(
        BARE,
        H264_ENCODER_ALONE,
        "kvm-bare has no JPEG encoder at /dev/video31: name the device in ustreamer_jpeg_encoder_device, or set "
        "ustreamer_jpeg_encoder to cpu",
    )


@pytest.mark.parametrize(
    "variables",
    [
        pytest.param({"ustreamer_jpeg_encoder": "cpu"}, id="cpu"),
        pytest.param({"ustreamer_format": "MJPEG"}, id="mjpeg-is-passed-through"),
        pytest.param({"ustreamer_jpeg_encoder_device": "/dev/null"}, id="it-is-there"),
    ],
)
def test_no_capture_device(variables):
    assert_refused(
        BARE,
        H264_ENCODER_ALONE | variables,
        "kvm-bare has no capture device for ustreamer_capture_kind tc358743 (/dev/video0): plug it in, or set",
    )


def test_no_sound_device():
    assert_refused(
        BARE,
        H264_ENCODER_ALONE
        | {
            "ustreamer_jpeg_encoder": "cpu",
            "ustreamer_capture_device": "/dev/null",
            "ustreamer_audio_device": "hw:CARD=MS2109",
        },
        "kvm-bare has no sound device hw:CARD=MS2109 that captures (ustreamer_audio_device): plug it in, name another",
    )


def test_a_board_without_any_encoder_is_told_that_its_processor_encodes():
    """As a Raspberry Pi 5, or a PC. Only its capture device is missing here."""
    assert_refused(
        BARE,
        {"ustreamer_hardware_required": True},
        "kvm-bare has no H.264 encoder at /dev/video11: H.264 is encoded in software",
        # How many there are, is the machine's affair.
        "p30, estimated by their number alone. It is measured once the encoder is compiled.",
        "kvm-bare has no capture device for ustreamer_capture_kind tc358743 (/dev/video0): plug it in, or set",
    )


def test_a_board_with_an_encoder_is_told_that_it_encodes():
    assert_refused(
        BARE,
        H264_ENCODER_ALONE | {"ustreamer_jpeg_encoder": "cpu"},
        "kvm-bare has an H.264 encoder at /dev/null: H.264 is encoded by it",
    )


def test_an_operating_system_without_h264():
    assert_refused(
        BOOKWORM,
        {},
        "ustreamer_source debian needs Debian or Raspberry Pi OS 13 or newer (older packages have no H.264)",
    )


def test_a_32_bit_system():
    """Python on the device gets the kernel's 32-bit personality, and so is told what a 32-bit machine is told."""
    BARE.sh(
        "printf '#!/bin/sh\\nexec linux32 /usr/bin/python3 \"$@\"\\n' > /root/python32 && chmod +x /root/python32",
    )
    assert_refused(
        BARE,
        {"ansible_python_interpreter": "/root/python32"},
        "started by systemd: janus_source debian needs Debian or Raspberry Pi OS 12 or newer, 64-bit (x86_64 or "
        "aarch64), with systemd.",
    )


def test_an_occupied_port():
    BARE.sh(
        "systemd-run --quiet --unit=squatter --property=Type=exec python3 -m http.server 443 && "
        "for i in $(seq 100); do ss -Hltn sport = :443 | grep -q . && exit; sleep 0.1; done; exit 1",
    )
    try:
        assert_refused(BARE, {}, "gateway_https_port is 443")
    finally:
        BARE.sh("systemctl stop squatter")


def test_an_unreachable_mirror():
    """The mirror's name is made unresolvable on the device alone."""
    BARE.sh("cp -p /etc/apt/sources.list /root/sources.list; rm -rf /var/lib/apt/lists/*")
    BARE.sh("sed -i -E 's#(https?://)[^/ ]+#\\1mirror.invalid#' /etc/apt/sources.list")
    try:
        played = play(BARE)
        assert played.code != 0
        assert "can't be reached" in played.output and "/etc/apt/sources.list" in played.output
        assert played.changed == 0
    finally:
        BARE.sh("mv /root/sources.list /etc/apt/sources.list")


def test_a_disk_that_is_nearly_full():
    BARE.sh("mount -t tmpfs -o size=50m tmpfs /var/cache")
    try:
        assert_refused(
            BARE,
            {},
            "kvm-bare has 50 MiB free on /var/cache: building Janus needs 700 MiB. Make room, then run the play again.",
        )
    finally:
        BARE.sh("umount /var/cache")


@pytest.mark.parametrize(
    ("begin", "end", "sentences"),
    [
        pytest.param(
            "mkdir -p $(python3 -m site --user-site) && printf 'import time\\nnow = time.time\\n"
            "time.time = lambda: now() - 86400\\n' > $(python3 -m site --user-site)/usercustomize.py",
            "rm $(python3 -m site --user-site)/usercustomize.py",
            [
                "the clock of this device says 20",
                "and the one of the machine that provisions it 20",
            ],
            id="a clock that is a day late",
        ),
        pytest.param(
            "cp /var/lib/dpkg/status /root/ && "
            "sed -i '/^Package: sudo$/,/^$/s/^Status: .*/Status: install ok half-configured/' /var/lib/dpkg/status",
            "mv /root/status /var/lib/dpkg/status",
            ["dpkg was interrupted on this device, and left packages half installed (sudo): run "],
            id="an interrupted dpkg",
        ),
        pytest.param(
            "mkdir -p /etc/nginx/sites-enabled && touch /etc/nginx/sites-enabled/blog",
            "rm -r /etc/nginx",
            ["nginx on this device serves other sites (blog), and this product would end them"],
            id="an nginx of somebody else",
        ),
        pytest.param(
            "mkdir -p /lib/modules/6.1.0-newer",
            "rm -r /lib/modules",
            ["runs a kernel whose modules are no longer on it", "reboot it first"],
            id="an upgraded kernel",
        ),
    ],
)
def test_a_device_that_is_not_fresh(begin, end, sentences):
    BARE.sh(begin)
    try:
        assert_refused(BARE, {}, *sentences)
    finally:
        BARE.sh(end)


@pytest.mark.parametrize(
    ("name", "architecture", "sentence"),
    [
        ("janus", "riscv64", "it was made for the architecture riscv64, and this device has "),
        (
            "ustreamer",
            platform.machine(),
            "it was made from something else than this play asks for (",
        ),
    ],
)
def test_a_build_for_another_device(tmp_path, name, architecture, sentence):
    facts = {key: kind() for key, kind in KEYS.items()}
    facts |= {"name": name, "suite": "trixie", "architecture": architecture}
    (tmp_path / "build").mkdir()
    tarball = tmp_path / f"{name}.tar.xz"
    tarball.write_bytes(pack(tmp_path / "build", {**facts, "format": FORMAT}))
    assert_refused(
        BARE, {f"{name}_prebuilt": str(tarball)}, f"{name}_prebuilt is {tarball}: {sentence}"
    )


def test_no_systemd():
    assert_refused(NO_INIT, {}, "with systemd.")
