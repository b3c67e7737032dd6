# SPDX-License-Identifier: MIT
"""The viewer without a browser: what it makes of an offer before aiortc reads it."""

from playbooks.files.viewer import with_one_fmtp_each

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
