"""What axe finds against WCAG 2.2 AA on a page, at three widths and in both themes."""

import pathlib
from typing import Any

from playwright.async_api import Page

AXE = (pathlib.Path(__file__).parents[2] / "services/gateway/web/node_modules/axe-core/axe.min.js").read_text()
WIDTHS, THEMES = (390, 1024, 1440), ("light", "dark")
RULES = {"type": "tag", "values": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}
OF_COLOUR = {"type": "rule", "values": ["color-contrast", "link-in-text-block"]}  # a theme changes nothing else


async def violations(page: Page, rules: dict[str, Any]) -> list[str]:
    if not await page.evaluate("() => 'axe' in window"):
        await page.evaluate(AXE)
    found: Any = await page.evaluate(
        "rules => axe.run(document, {runOnly: rules, resultTypes: ['violations'], preload: false})", rules
    )
    return [f"{one['id']}: {node['html'][:200]}" for one in found["violations"] for node in one["nodes"]]


async def each_look(page: Page) -> list[str]:
    """Violations, and what makes the page too wide."""
    found = []
    for theme in THEMES:
        await page.emulate_media(color_scheme=theme, reduced_motion="reduce")
        for width in WIDTHS:
            await page.set_viewport_size({"width": width, "height": 900})
            rules = RULES if theme == "light" else OF_COLOUR
            found += [f"{theme} {width} {one}" for one in await violations(page, rules)]
            wide = await page.evaluate("document.documentElement.scrollWidth - innerWidth")
            found += [f"{theme} {width} is {wide} px too wide"] if wide > 0 else []
    return found
