"""Colours as `#rrggbb`: whether one can be read on another, and the company's one colour in light and dark."""

from __future__ import annotations

import colorsys
from dataclasses import dataclass

LIGHT_SHEET, DARK_SHEET = "#fffefb", "#1c1c19"
LIGHT_TEXT, DARK_TEXT = "#ffffff", "#0a2123"
ENOUGH, ENOUGH_IN_THE_DARK = 4.5, 8.0
MOST_SATURATED = 0.45
STEPS = 20


def parts(colour: str) -> tuple[int, ...]:
    """Red, green and blue, from 0 to 255."""
    return tuple(int(colour[place : place + 2], 16) for place in (1, 3, 5))


def contrast(one: str, other: str) -> float:
    """From 1 to 21, by WCAG 2.

    >>> round(contrast("#ffffff", "#000000"))
    21
    """
    low, high = sorted((_luminance(one), _luminance(other)))
    return (high + 0.05) / (low + 0.05)


def _luminance(colour: str) -> float:
    """Relative luminance by WCAG 2."""
    shares = [part / 255 for part in parts(colour)]
    red, green, blue = (one / 12.92 if one <= 0.04045 else ((one + 0.055) / 1.055) ** 2.4 for one in shares)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


@dataclass(frozen=True, slots=True)
class Brand:
    """`colour` on the light sheet with text `on` it, and the same for the dark one."""

    colour: str
    on: str
    dark_colour: str
    dark_on: str


def brand(colour: str) -> Brand:
    """The colour, made darker until it stands out from the light sheet, and lighter for the dark one."""
    hue, lightness, saturation = colorsys.rgb_to_hls(*(part / 255 for part in parts(colour)))
    darker = [colour, *(_of(hue, lightness * (1 - step / STEPS), saturation) for step in range(1, STEPS + 1))]
    soft = min(saturation, MOST_SATURATED)
    lighter = [_of(hue, lightness + (1 - lightness) * step / STEPS, soft) for step in range(STEPS + 1)]
    light = next(one for one in darker if contrast(one, LIGHT_SHEET) >= ENOUGH)
    dark = next(one for one in lighter if contrast(one, DARK_SHEET) >= ENOUGH_IN_THE_DARK)
    return Brand(light, _text_on(light), dark, _text_on(dark))


def _text_on(colour: str) -> str:
    return max((LIGHT_TEXT, DARK_TEXT), key=lambda text: contrast(text, colour))


def _of(hue: float, lightness: float, saturation: float) -> str:
    return "#" + "".join(f"{round(part * 255):02x}" for part in colorsys.hls_to_rgb(hue, lightness, saturation))
