"""The short number of a payment, for reading out: P-7K3M9-2QXTB. Values in, values out."""

from __future__ import annotations

import re

# Crockford's letters: without I, L, O and U, which people mistake for others.
SYMBOLS = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
LENGTH = 10
DIGITS = 12  # of the id's end, in hexadecimal, that a number stands for
_MEANT = str.maketrans("ILO", "110")
_NUMBER = re.compile(rf"P?([{SYMBOLS}]{{{LENGTH}}})")


def number_of(payment_id: str) -> str:
    """
    >>> number_of("018f0000-0000-7000-8000-7d8b0aa45c2b")
    'P-3XHCA-N8Q1B'
    """
    value, symbols = int(payment_id[-DIGITS:], 16), ""
    for _ in range(LENGTH):
        value, place = divmod(value, len(SYMBOLS))
        symbols = SYMBOLS[place] + symbols
    return f"P-{symbols[:5]}-{symbols[5:]}"


def digits_of(number: str) -> str | None:
    """The last digits of the id of a number, in any spelling; None if the text is no number.

    >>> digits_of(" p 3xhca n8qib")
    '7d8b0aa45c2b'
    """
    found = _NUMBER.fullmatch(re.sub(r"[\s-]", "", number).upper().translate(_MEANT))
    if found is None:
        return None
    value = 0
    for symbol in found[1]:
        value = value * len(SYMBOLS) + SYMBOLS.index(symbol)
    return f"{value:0{DIGITS}x}" if value < 16**DIGITS else None
