"""Names that people and programs give to things: one normal form, so that one name is never two."""

from __future__ import annotations

import re
import unicodedata
from typing import Annotated

from pydantic import AfterValidator, Field

# Characters that show nothing, beside those of the categories below (Unicode's Default_Ignorable_Code_Point).
_INVISIBLE = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u2060-\u206f\u2800\u3164\ufe00-\ufe0f\uffa0"
    "\ufff0-\ufff8\U000e0000-\U000e0fff]"
)
_REFUSED = {"Cc": "a control character", "Cf": "an invisible character", "Cs": "half a character",
            "Co": "a private character", "Zl": "a line break", "Zp": "a line break"}  # fmt: skip


def normal_form(text: str) -> str:
    """NFC, plain spaces, none at either end. ValueError if it is blank or has invisible characters.

    >>> normal_form(" INV\\u00a07\\n")
    'INV 7'
    """
    composed = unicodedata.normalize("NFC", text)
    spaced = "".join(" " if one.isspace() else one for one in composed)
    plain = "".join(" " if unicodedata.category(one) == "Zs" else one for one in composed).strip()
    if not plain:
        raise ValueError("must not be blank")
    if spaced[:1] == spaced[-1:] == " " and len(spaced) > 2 * len(plain):
        raise ValueError("is mostly blanks: send it without them")  # not padded, but cut out of a text at a wrong place
    for one in plain:
        kind = _REFUSED.get(unicodedata.category(one)) or (_INVISIBLE.match(one) and "an invisible character")
        if kind:
            raise ValueError(f"must not hold {kind} (U+{ord(one):04X})")
    return plain


Name = Annotated[
    str,
    Field(min_length=1, max_length=200, description="Blanks at either end are dropped; invisible characters refused"),
    AfterValidator(normal_form),
]
