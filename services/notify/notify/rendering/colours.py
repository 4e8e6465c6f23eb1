"""The company's one colour, in light and dark, with text on it that can be read (WCAG: 4.5 to 1)."""

from __future__ import annotations

from dataclasses import dataclass

LIGHT_SHEET, DARK_SHEET = "#fffefb", "#1c1c19"
LIGHT_TEXT, DARK_TEXT = "#ffffff", "#0a2123"
ENOUGH = 4.5
STEPS = 20


@dataclass(frozen=True, slots=True)
class Brand:
    """`colour` on the light sheet with text `on` it, and the same for the dark one."""

    colour: str
    on: str
    dark_colour: str
    dark_on: str


def brand(colour: str) -> Brand:
    """The colour itself where it stands out from the sheet; else mixed with black or white until it does."""
    light, dark = _until_seen(colour, "#000000", LIGHT_SHEET), _until_seen(colour, "#ffffff", DARK_SHEET)
    return Brand(light, _text_on(light), dark, _text_on(dark))


def contrast(one: str, other: str) -> float:
    """From 1 to 21, by WCAG 2.

    >>> round(contrast("#ffffff", "#000000"))
    21
    """
    low, high = sorted((_luminance(one), _luminance(other)))
    return (high + 0.05) / (low + 0.05)


def _until_seen(colour: str, towards: str, sheet: str) -> str:
    mixed = (_mix(colour, towards, step / STEPS) for step in range(STEPS + 1))
    return next((one for one in mixed if contrast(one, sheet) >= ENOUGH), towards)


def _text_on(colour: str) -> str:
    return max((LIGHT_TEXT, DARK_TEXT), key=lambda text: contrast(text, colour))


def _mix(one: str, other: str, share: float) -> str:
    pairs = zip(_parts(one), _parts(other), strict=True)
    return "#" + "".join(f"{round(a + (b - a) * share):02x}" for a, b in pairs)


def _parts(colour: str) -> tuple[int, ...]:
    return tuple(int(colour[place : place + 2], 16) for place in (1, 3, 5))


def _luminance(colour: str) -> float:
    red, green, blue = (
        part / 255 / 12.92 if part / 255 <= 0.04045 else ((part / 255 + 0.055) / 1.055) ** 2.4
        for part in _parts(colour)
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue
