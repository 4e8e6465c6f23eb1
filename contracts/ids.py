"""Time-ordered identifiers."""

import os
import time
import uuid


def new_id() -> str:
    """A UUID version 7 (RFC 9562): the first 48 bits are milliseconds, so that new rows land beside each other."""
    stamp = time.time_ns() // 1_000_000
    random = int.from_bytes(os.urandom(10), "big")
    value = (
        (stamp & 0xFFFF_FFFF_FFFF) << 80 | 0x7 << 76 | (random >> 68 & 0xFFF) << 64 | 0x2 << 62 | random & (1 << 62) - 1
    )
    text = f"{value:032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def is_id(text: str) -> bool:
    """Whether the text is a UUID in its canonical spelling."""
    try:
        return str(uuid.UUID(text)) == text
    except ValueError:
        return False
