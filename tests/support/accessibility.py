# SPDX-License-Identifier: MIT
"""Whether a page is there for everybody: axe-core, what fits, what Tab reaches."""

from __future__ import annotations

import re
from dataclasses import dataclass
from importlib import resources

from playwright.sync_api import Locator

from . import BUILD
from .remote_screen import RemoteScreen

AXE = resources.files("axe_playwright_python") / "axe.min.js"
FINGER_PX, POINTER_PX = 44, 24

_RUN_AXE = """async () => {
  const { violations } = await axe.run({ resultTypes: ['violations'] });
  return violations.flatMap(({ id, nodes }) =>
    nodes.map(({ target, failureSummary }) => `${id} at ${target}: ${failureSummary}`));
}"""
# Until nothing fades any more: colours in between are nobody's.
_REST = """() => Promise.allSettled(document.getAnimations()
  .filter((animation) => animation.effect.getComputedTiming().iterations < Infinity)
  .map((animation) => animation.finished))"""
# What neither Tab nor pointer may reach is used by another control, as what a phone's keyboard types into.
_USABLE = """() => {
  const scope = document.querySelector('dialog[open]') ?? document;
  return [...scope.querySelectorAll('a[href], button, input, select, textarea, summary, [tabindex="0"]')]
    .filter((each) => !each.disabled && each.checkVisibility({ visibilityProperty: true }))
    .filter((each) => each.tabIndex >= 0 || getComputedStyle(each).pointerEvents !== 'none');
}"""
_NAME = """(each) => each.id || each.dataset.code || each.dataset.language
  || each.name || each.getAttribute('aria-label') || each.textContent.trim()"""
_SMALL = f"""(least) => ({_USABLE})()
  .filter((each) => getComputedStyle(each).display !== 'inline')
  .map((each) => [each, each.closest('label') ?? each])
  .map(([each, target]) => [({_NAME})(each), target.getBoundingClientRect()])
  .filter(([, {{ width, height }}]) => Math.min(width, height) < least - 0.1)
  .map(([name, {{ width, height }}]) => `${{name}}: ${{width}} x ${{height}}`)"""
_FOCUSED = f"""() => {{
  const each = document.activeElement;
  if (!each || each === document.body) return null;
  const ring = [getComputedStyle(each), getComputedStyle(each, '::after')].some((style) =>
    (style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) > 0)
    || (style.content !== 'none' && style.visibility === 'visible' && parseFloat(style.borderTopWidth) > 0));
  const {{ left, right, top, bottom }} = each.getBoundingClientRect();
  const seen = right > 0 && bottom > 0 && left < innerWidth && top < innerHeight;
  return {{ name: ({_NAME})(each), ring: ring && seen }};
}}"""


@dataclass(frozen=True)
class Look:
    """A window, and the colours that its system prefers."""

    width: int
    height: int
    scheme: str


# 640 x 360 is 1280 x 720 at a zoom of 200 %.
LOOKS = [Look(1280, 720, "light"), Look(640, 360, "light"), Look(320, 640, "dark")]


def show(screen: RemoteScreen, look: Look) -> None:
    screen.page.emulate_media(color_scheme=look.scheme)
    screen.page.set_viewport_size({"width": look.width, "height": look.height})
    screen.page.evaluate(_REST)


def violations(screen: RemoteScreen) -> list[str]:
    """What axe-core finds in the page as it is."""
    if not screen.page.evaluate("'axe' in globalThis"):
        screen.page.evaluate(AXE.read_text(encoding="utf-8"))
    return screen.page.evaluate(_RUN_AXE)


def small_targets(screen: RemoteScreen, least: int) -> list[str]:
    """What is hard to hit; not links in a text."""
    return screen.page.evaluate(_SMALL, least)


def assert_accessible(screen: RemoteScreen, what: str) -> None:
    """In each look axe-core finds nothing, nothing has to be scrolled sideways, and targets are large enough.

    What a person sees is kept in build/screenshots, for people to look at.
    """
    for look in LOOKS:
        show(screen, look)
        width = screen.page.evaluate("document.documentElement.scrollWidth")
        wrong = [*violations(screen), *small_targets(screen, POINTER_PX)]
        wrong += [f"the page is {width} pixels wide"] if width > look.width else []
        name = f"{re.sub(r'[^a-z]+', '-', what.lower())}-{look.scheme}-{look.width}.png"
        screen.page.screenshot(path=BUILD / "screenshots" / name)
        assert not wrong, f"{what} in {look}: {wrong}"
    show(screen, LOOKS[0])


def tab_to(screen: RemoteScreen, locator: Locator, key: str = "Tab") -> None:
    """By Tab (or Shift+Tab) alone, and each stop on the way can be seen."""
    for _ in range(200):
        screen.page.keyboard.press(key)
        focused = screen.page.evaluate(_FOCUSED)
        assert focused is None or focused["ring"], (
            f"nobody sees that {focused['name']} has the focus"
        )
        if locator.evaluate("(each) => each === document.activeElement"):
            return
    raise AssertionError(f"Tab never reaches {locator}")


def assert_tab_reaches_everything(screen: RemoteScreen) -> None:
    """Each control that can be seen and used now."""
    screen.page.evaluate("document.activeElement.blur()")
    usable = set(screen.page.evaluate(f"() => ({_USABLE})().map({_NAME})"))
    reached = set()
    for _ in range(2 * len(usable) + 4):
        screen.page.keyboard.press("Tab")
        focused = screen.page.evaluate(_FOCUSED)
        if focused:
            assert focused["ring"], f"nobody sees that {focused['name']} has the focus"
            reached.add(focused["name"])
    assert usable and usable - reached == set()
