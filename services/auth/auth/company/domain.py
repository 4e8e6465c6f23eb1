"""The company's settings, as they are before anybody has set them. No I/O."""

from __future__ import annotations

from typing import Any

from contracts.auth import UNNAMED

LEAST_CONTRAST = 4.5
INK = "#ffffff"  # the text on the brand colour
COMPANY_ID = "company"
DEFAULTS: dict[str, Any] = {
    "name": UNNAMED, "logo": None, "brand_colour": "#0e5358", "time_zone": "America/New_York",
    "languages": ["en", "es"], "reply_address": None, "tax": None,
}  # fmt: skip
