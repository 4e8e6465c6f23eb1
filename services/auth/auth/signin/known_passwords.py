"""Passwords that are known, by zxcvbn's list of the most frequent ones. No I/O."""

from __future__ import annotations

from itertools import pairwise

from zxcvbn.frequency_lists import FREQUENCY_LISTS

KNOWN = frozenset(FREQUENCY_LISTS["passwords"])
FEWEST_CHARACTERS = 6  # different ones
MOST_PIECES = 3
LONGEST_KNOWN = max(map(len, KNOWN))


def easily_guessed(password: str, email: str) -> bool:
    """Whether the password is of few characters, a row like abcdef, up to three known ones, or mostly the own address.

    zxcvbn's own estimate takes seconds for some passwords of many signs, so only its list is used.

    >>> easily_guessed("qwertyuiopasdfghjkl", "a@b.example"), easily_guessed("six tall herons wait", "a@b.example")
    (True, False)
    """
    text = "".join(filter(str.isalnum, password.lower()))
    own = [part for part in email.lower().replace("@", ".").split(".") if len(part) > 2]
    for part in own:
        text = text.replace("".join(filter(str.isalnum, part)), "")
    if len(set(text)) < FEWEST_CHARACTERS or len(text) < 8:
        return True
    steps = sum(abs(ord(one) - ord(other)) <= 1 for one, other in pairwise(text))
    return steps > len(text) / 2 or _pieces(text) <= MOST_PIECES


def _pieces(text: str) -> int:
    """Of how many known passwords the text consists at least, a repeated one counted once; many if of none."""
    for length in range(1, len(text) // 2 + 1):
        if text == (text[:length] * len(text))[: len(text)]:
            return 1
    best = [0] + [len(text) + 1] * len(text)
    for end in range(1, len(text) + 1):
        for start in range(max(0, end - LONGEST_KNOWN), end):
            if best[start] < best[end] and text[start:end] in KNOWN:
                best[end] = min(best[end], best[start] + 1)
    return best[-1]
