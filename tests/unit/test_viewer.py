# SPDX-License-Identifier: MIT
"""The viewer without a browser: what it makes of an offer before aiortc reads it, and of a way that is none."""

import asyncio

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from playbooks.files.viewer import crc16, look, with_one_fmtp_each

OFFER = (
    "m=video 9 UDP/TLS/RTP/SAVPF 96 97\r\n"
    "a=fmtp:96 profile-level-id=42E01F\r\n"
    "a=rtpmap:96 H264/90000\r\n"
    "a=fmtp:97 apt=96\r\n"
    "a=fmtp:96 packetization-mode=1\r\n"
)


def test_several_lines_of_parameters_become_one():
    assert with_one_fmtp_each(OFFER) == (
        "m=video 9 UDP/TLS/RTP/SAVPF 96 97\r\n"
        "a=fmtp:96 profile-level-id=42E01F;packetization-mode=1\r\n"
        "a=rtpmap:96 H264/90000\r\n"
        "a=fmtp:97 apt=96\r\n"
    )


def test_an_offer_with_one_each_stays_as_it_is():
    once = with_one_fmtp_each(OFFER)
    assert with_one_fmtp_each(once) == once


def test_the_checksum_is_the_one_that_the_emulator_draws():
    """CRC-16/CCITT-FALSE, by its published check value, and with the zeros in front that a low counter has."""
    assert crc16(b"123456789") == 0x29B1
    assert crc16(bytes(10)) == 0xE139


# --- The way to the device ---


def seen_behind(status):
    """The report of a viewer whose WebSocket is answered with this status."""

    async def watch():
        async def answer(_):
            return web.Response(status=status)

        application = web.Application()
        application.router.add_get("/janus/ws", answer)
        async with TestServer(application) as server:
            return await look(str(server.make_url("/janus/ws")), "a=b", None, 1)

    return asyncio.run(watch())


@pytest.mark.parametrize("status", [421, 403, 404, 200])
def test_whoever_answers_for_a_name_says_nothing_about_the_picture(status):
    """Such as nginx for a name that it does not know: so no build is taken back for it."""
    report = seen_behind(status)
    assert report.unreachable
    assert f"is answered with {status}" in report.error
    assert "gateway_hosts" in report.error
    assert "Janus" not in report.error


@pytest.mark.parametrize("status", [401, 500, 502, 503, 504])
def test_what_is_broken_behind_nginx_is_the_devices_own(status):
    report = seen_behind(status)
    assert not report.unreachable
    assert str(status) in report.error


@pytest.mark.parametrize("host", ["no-such-name.invalid", "x" * 70 + ".example", "a..b"])
def test_a_name_that_leads_nowhere_says_nothing_about_the_picture(host):
    report = asyncio.run(look(f"wss://{host}/janus/ws", "a=b", None, 1))
    assert report.unreachable
    assert host in report.error
