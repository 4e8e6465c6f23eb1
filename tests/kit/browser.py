"""A real Chromium: the one of this machine, or Debian's package where the tests may install it."""

import functools
import os
import pathlib
import shutil
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from playwright.async_api import BrowserContext, async_playwright

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
FLAGS = (
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
)  # fmt: skip
VIEW = {"width": 1280, "height": 900}


@functools.cache
def chromium() -> pathlib.Path | str:
    """The program, or why there is none."""
    chosen = os.environ.get("PAIDUP_CHROMIUM")
    if chosen:
        return pathlib.Path(chosen)
    return _found() or _installed()


def _found() -> pathlib.Path | None:
    paths = (shutil.which(name) for name in NAMES)
    return next((pathlib.Path(path) for path in paths if path), None)


def _installed() -> pathlib.Path | str:
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        return "there is no Chromium: install it, or name one by PAIDUP_CHROMIUM"
    quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for command in (
        ["update", "-q"],
        ["install", "-q", "-y", "--no-install-recommends", "chromium", "fonts-dejavu-core"],
    ):
        done = subprocess.run(["apt-get", *command], env=quiet, capture_output=True, text=True)
        if done.returncode:
            return f"Chromium could not be installed: {done.stderr.strip()[-300:]}"
    return _found() or "Chromium was installed and is not there"


@asynccontextmanager
async def browsing(program: pathlib.Path) -> AsyncIterator[BrowserContext]:
    """A fresh profile in a browser of its own."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=program, headless=True, args=[*FLAGS])
        try:
            yield await browser.new_context(viewport=VIEW)
        finally:
            await browser.close()
