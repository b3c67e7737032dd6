# SPDX-License-Identifier: MIT
"""What a page of somebody else can do in a browser whose owner is logged in here: nothing."""

import time
from collections.abc import Callable

import pytest

from tests.support.clients import Client, log_in
from tests.support.device import Device
from tests.support.remote_screen import RemoteScreen
from tests.support.waiting import wait_until

from .test_gateway import SOCKETS

# The device made its certificate itself.
pytestmark = pytest.mark.filterwarnings("ignore:Unverified HTTPS request")

# Functions of a page.
OPEN_SOCKETS = """(urls) => Promise.all(urls.map((url) => new Promise((resolve) => {
  const socket = new WebSocket(url, url.endsWith('/janus/ws') ? ['janus-protocol'] : []);
  socket.onopen = () => {
    resolve('open');
    socket.close();
  };
  socket.onclose = () => resolve('refused');
})))"""
READ = """(url) => fetch(url, { credentials: 'include' })
  .then((answer) => answer.json(), () => null)"""
FETCH = """(url) => fetch(url, { method: 'POST', mode: 'no-cors', credentials: 'include', body: '{}' })
  .then(() => {}, () => {})"""
SUBMIT = """(url) => {
  const frame = document.createElement('iframe');
  const form = document.createElement('form');
  frame.name = 'answer';
  Object.assign(form, { method: 'post', action: url, enctype: 'text/plain', target: 'answer' });
  document.body.append(frame, form);
  form.submit();
}"""
FRAME = """(url) => new Promise((resolve) => {
  const frame = document.createElement('iframe');
  frame.onload = resolve;
  frame.src = url;
  document.body.append(frame);
})"""


def refused_changes(device: Device, since: float) -> int:
    """How often a foreign page asked for a change, as the audit log has it."""
    return device.sh(f"journalctl --no-pager -o cat -t tinypilot-audit --since=@{since:.0f}").count(
        "Refused: the request comes from another site."
    )


def test_a_foreign_page_neither_shows_nor_hears_nor_changes_anything(
    new_screen: Callable[..., RemoteScreen], ada: Client, device: Device, foreign_page: str
):
    """The browser keeps the cookie back; what a foreign origin gets that has it, test_gateway.py shows."""
    began = time.time()
    screen = new_screen(role=None).open()
    log_in(screen, "ada")
    screen.wait_until_live()
    page = screen.page
    sockets = [f"wss://{device.address}/{path}" for path in SOCKETS]
    session, log_out = f"{device.url}api/session", f"{device.url}api/logout"
    # The same on the device's own page, so that it is known to work at all.
    assert page.evaluate(OPEN_SOCKETS, sockets) == ["open"] * len(sockets)
    assert page.evaluate(READ, session)["user"] == "ada"

    cookies = page.context.cookies()
    assert len(cookies) == 2, "of the session and of the browser"
    for cookie in cookies:
        assert (cookie["sameSite"], cookie["httpOnly"], cookie["secure"]) == ("Strict", True, True)
    page.goto(foreign_page)
    assert page.evaluate(OPEN_SOCKETS, sockets) == ["refused"] * len(sockets)
    assert page.evaluate(READ, session) is None
    page.evaluate(FRAME, device.url)
    [frame] = page.main_frame.child_frames
    assert frame.evaluate("location.protocol") == "chrome-error:"
    page.evaluate(FETCH, log_out)
    page.evaluate(SUBMIT, log_out)
    wait_until(lambda: refused_changes(device, began) == 2, "both changes are refused")
    page.goto(device.url)
    screen.wait_until_live()
