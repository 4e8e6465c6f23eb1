"""Names of files as people sent them, made harmless: shown and sent back, they name nothing on a disk."""

from __future__ import annotations

import re
import unicodedata

LONGEST = 120
# Characters that are not seen: controls, marks of the writing direction, joints; and halves of pairs.
UNSEEN = re.compile(
    "[\x00-\x1f\x7f-\x9f\u00ad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\ud800-\udfff]"
)
NOT_IN_NAMES = re.compile(r'[<>:"|?*]')
RESERVED = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\.|$)", re.IGNORECASE)


def cleaned(name: str) -> str:
    """The last part of a path, without what is not seen or means something to a system.

    >>> cleaned("../../etc/passwd"), cleaned("invoice\\u202efdp.exe"), cleaned(" .. ")
    ('passwd', 'invoicefdp.exe', 'file')
    """
    name = UNSEEN.sub("", name.replace("\\", "/").rpartition("/")[2])
    name = " ".join(NOT_IN_NAMES.sub("_", unicodedata.normalize("NFC", name)).split()).strip(". ")
    if RESERVED.match(name):
        name = f"_{name}"
    start, ending = parted(name)
    return (start[: LONGEST - len(ending)].rstrip(". ") + ending) or "file"


def parted(name: str) -> tuple[str, str]:
    """A name and its ending in lower case; an ending has at most eight letters or digits.

    >>> parted("Slip.PDF"), parted("Slip of Nov. 4"), parted(".pdf")
    (('Slip', '.pdf'), ('Slip of Nov. 4', ''), ('', '.pdf'))
    """
    start, dot, ending = name.rpartition(".")
    if not dot or not re.fullmatch("[A-Za-z0-9]{1,8}", ending):
        return name, ""
    return start, f".{ending.lower()}"
