"""The company's settings, and which brand colours can be read. No I/O."""

from __future__ import annotations

from typing import Any

LEAST_CONTRAST = 4.5
INK = "#ffffff"  # the text on the brand colour
COMPANY_ID = "company"
DEFAULTS: dict[str, Any] = {
    "name": "Your company", "logo": None, "brand_colour": "#0e5358", "time_zone": "America/New_York",
    "languages": ["en", "es"], "reply_address": None, "tax": None,
}  # fmt: skip


def _luminance(colour: str) -> float:
    """Relative luminance (WCAG 2.2) of `#rrggbb`."""
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    """The contrast of two colours, from 1 to 21.

    >>> round(contrast("#000000", "#ffffff"))
    21
    """
    light, dark = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)
