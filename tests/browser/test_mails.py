"""Six mails in a real browser: two languages, light and dark, on a phone and wide."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from playwright.async_api import Browser, async_playwright

from tests.kit.browser import FLAGS, chromium
from tests.kit.mail_samples import TEXTS, composed
from tests.kit.mails import parts_of

SIX = ("code", "invoice_issued", "payment_received", "returned", "autopay_notice", "exception_assigned")

# Of every text that is shown: its contrast to what is behind it.
CONTRASTS = """() => {
  const parts = text => text.match(/[0-9.]+/g).map(Number);
  const light = ([r, g, b]) => [r, g, b].map(v => v / 255)
    .map(v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
    .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
  const behind = one => {
    for (; one; one = one.parentElement) {
      const colour = parts(getComputedStyle(one).backgroundColor);
      if (colour.length < 4 || colour[3] > 0) return colour;
    }
    return [255, 255, 255];
  };
  return [...document.body.querySelectorAll("*")]
    .filter(one => [...one.childNodes].some(node => node.nodeType === 3 && node.data.trim()))
    .filter(one => one.offsetHeight > 0 && getComputedStyle(one).display !== "none" && one.checkVisibility())
    .filter(one => parseFloat(getComputedStyle(one).fontSize) > 2)
    .map(one => {
      const [a, b] = [parts(getComputedStyle(one).color), behind(one)].map(light);
      return [one.textContent.trim(), (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05)];
    });
}"""


@pytest.fixture(scope="module")
async def browser() -> AsyncIterator[Browser]:
    program = chromium()
    if isinstance(program, str):
        pytest.skip(program)
    async with async_playwright() as playwright:
        started = await playwright.chromium.launch(executable_path=program, headless=True, args=[*FLAGS])
        yield started
        await started.close()


@pytest.mark.parametrize("width", [360, 700])
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("language", TEXTS.languages)
async def test_can_be_read(browser: Browser, width: int, scheme: Any, language: str) -> None:
    context = await browser.new_context(viewport={"width": width, "height": 800}, color_scheme=scheme)
    page = await context.new_page()
    for kind in SIX:
        await page.set_content(parts_of(composed(kind, language))[1])
        assert await page.evaluate("document.documentElement.scrollWidth") <= width, kind
        contrasts = await page.evaluate(CONTRASTS)
        assert len(contrasts) > 4
        assert [(kind, *one) for one in contrasts if one[1] < 4.5] == []
    await context.close()
