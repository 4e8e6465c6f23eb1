"""A real Chromium: Debian's headless shell, which is installed where that is allowed, or another of this machine."""

import functools
import os
import pathlib
import shutil
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from playwright.async_api import BrowserContext, async_playwright

SHELL = "chromium-headless-shell"  # Chromium without windows: the same pages for less than half of the processor time
NAMES = (SHELL, "chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
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
    return _found(SHELL) or _installed()


def _found(*names: str) -> pathlib.Path | None:
    paths = (shutil.which(name) for name in names)
    return next((pathlib.Path(path) for path in paths if path), None)


def _installed() -> pathlib.Path | str:
    """Install the shell; where that can't be done, take any Chromium of this machine."""
    failed = _install() if os.geteuid() == 0 and shutil.which("apt-get") else "only root can install one here"
    return _found(*NAMES) or f"there is no Chromium: install it, or name one by PAIDUP_CHROMIUM ({failed})"


def _install() -> str:
    """Install the shell and a font from Debian; returns why this failed."""
    quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for command in (["update", "-q"], ["install", "-q", "-y", "--no-install-recommends", SHELL, "fonts-dejavu-core"]):
        done = subprocess.run(["apt-get", *command], env=quiet, capture_output=True, text=True)
        if done.returncode:
            return done.stderr.strip()[-300:]
    return ""


@asynccontextmanager
async def browsing(program: pathlib.Path) -> AsyncIterator[BrowserContext]:
    """A fresh profile in a browser of its own."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=program, headless=True, args=[*FLAGS])
        try:
            yield await browser.new_context(viewport=VIEW)
        finally:
            await browser.close()
