"""Pictures of the console for the docs, made in headless Chromium."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from endcap_rerank.errors import EndcapError

if TYPE_CHECKING:
    from playwright.sync_api import ViewportSize

WIDE: ViewportSize = {"width": 1280, "height": 1080}
NARROW: ViewportSize = {"width": 390, "height": 1040}
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
FEWER = "input => { input.value = '5'; input.dispatchEvent(new Event('input')); }"
TRAFFIC = 9.0
"""Seconds until the charts have something to show."""


def chromium() -> dict[str, Any] | None:
    """How Playwright launches this machine's Chromium; None where there is none."""
    found = next((path for name in BROWSERS if (path := shutil.which(name))), None)
    if found is None:
        return None
    # Chromium's sandbox refuses to run as root, as containers do.
    return {"executable_path": found, "args": ["--no-sandbox"] if os.geteuid() == 0 else []}


def photograph(url: str, directory: Path, language: str, shopper: str) -> list[Path]:
    """Photograph a running console.

    Args:
        url: of the console; its setup says what is asked.
        directory: where the pictures go.
        language: of the page; with ``en`` a narrow picture is made too.
        shopper: whose lists are shown; empty is nobody in particular.

    Raises:
        EndcapError: Playwright, Pillow or Chromium is not installed.
    """
    try:
        from PIL import Image
        from playwright.sync_api import sync_playwright
    except ModuleNotFoundError as missing:
        raise EndcapError(f"screenshots need {missing.name}: pip install 'endcap[test]'") from None
    launch = chromium()
    if launch is None:
        known = ", ".join(BROWSERS)
        raise EndcapError(f"screenshots need one of {known} on PATH: apt-get install chromium")
    directory.mkdir(parents=True, exist_ok=True)
    asked = urlencode({"lang": language, "a": shopper, "b": shopper})
    sizes = {f"console-{language}.png": WIDE} | ({"console-narrow.png": NARROW} if language == "en" else {})
    made = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(**launch)
        for name, size in sizes.items():
            page = browser.new_page(viewport=size, reduced_motion="reduce")
            page.goto(f"{url}/?{asked}")
            page.locator(".card").first.wait_for()
            _use(page, wide=size is WIDE)
            file = directory / name
            page.screenshot(path=file, full_page=size is WIDE)
            with Image.open(file) as taken:
                # A third of the bytes; small spots of colour, such as a lamp, keep theirs.
                small = taken.convert("RGB").quantize(kmeans=1, dither=Image.Dither.NONE)
            small.save(file, optimize=True)
            made.append(file)
        browser.close()
    return made


def _use(page: Any, *, wide: bool) -> None:
    """What a person does first, so that the picture shows it: a slider, a look at a score, some traffic."""
    if not wide:
        page.locator("[data-shows='1']").click()
    for setting in ("0.3", "0.5", "0.7", "0.6") if wide else ("0.6",):
        page.locator("#diversity-B").fill(setting)
        page.locator("#ask").evaluate("form => form.requestSubmit()")
        page.wait_for_timeout(TRAFFIC * 250)
    if wide:
        for name in "AB":
            page.locator(f"#k-{name}").evaluate(FEWER)
        page.wait_for_timeout(1500)
        page.locator(".column").nth(1).locator(".card summary").nth(1).click()
    # Nothing is under the pointer.
    page.mouse.move(0, 0)
    page.wait_for_timeout(500)
