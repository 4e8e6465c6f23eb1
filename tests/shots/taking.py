"""Pictures of a page at three widths and in both themes, in .local/shots."""

import pathlib
from collections.abc import Mapping

from playwright.async_api import Page

from tests.kit.looks import THEMES, WIDTHS

OUT = pathlib.Path(__file__).parents[2] / ".local" / "shots"


async def shoot(page: Page, name: str) -> None:
    """The page at each width, in each theme."""
    for theme in THEMES:
        await page.emulate_media(color_scheme=theme, reduced_motion="reduce")
        for width in WIDTHS:
            await page.set_viewport_size({"width": width, "height": 900})
            await page.wait_for_timeout(120)
            await page.screenshot(path=OUT / f"{name}-{width}-{theme}.png", full_page=True)


async def each(page: Page, url: str, paths: Mapping[str, str]) -> None:
    """Each of these pages, by the name of its picture."""
    for name, path in paths.items():
        await go(page, url + path)
        await shoot(page, name)


async def go(page: Page, address: str) -> None:
    """Open the page and wait until nothing more comes."""
    await page.goto(address)
    await page.locator("h1").first.wait_for()
    await page.wait_for_load_state("networkidle")
