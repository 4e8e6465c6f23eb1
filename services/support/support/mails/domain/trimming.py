"""What a person wrote in a reply, without what their mail program put below and above it.

What is cut is gone, so a rule cuts only what no person types. If in doubt, the text stays.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from support.mails.domain.phrases import (
    CLOSING,
    DATED,
    DISCLAIMER,
    FORWARDED,
    FORWARDED_SUBJECT,
    FROM,
    HEADER,
    LEADS,
    LONGEST_AFTER_WROTE,
    MOST_LINES_OF_WROTE,
    PARTICLES,
    SENT_FROM,
    SEPARATOR,
    SUBJECT,
    WROTE,
    WROTE_BY,
    WROTE_ON,
)

LONGEST_LINE = 400  # a longer one is no line of a program
MOST_LINES = 20_000
MOST_OF_SIGNATURE = 12
MOST_BELOW_CLOSING = 8
BLANK = re.compile(r"[\s\u200b\ufeff\xa0]*")
SENTENCE = re.compile(r"\w{4,}\.$")  # not as in "Acme Inc."
NO_NAME = re.compile(r"p\.?\s?s\b|ps:", re.IGNORECASE)
CONTACT = re.compile(
    r"\+?[\d\s()/.\-]{6,}|.*(?:https?://|www\.|@|\b(?:tel|phone|mobile|mobil|fax|tél|telefon\w*|cell)\b).*",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Part:
    """Lines in a row: the person's own, those of a mail that is quoted, or a mail that the person forwards."""

    kind: Literal["own", "quoted", "forwarded"]
    lines: Sequence[str]


def trimmed(text: str, subject: str = "") -> str:
    """The person's own text. If nothing would be left, the whole text.

    A reply between the lines keeps the lines that it answers. What was forwarded stays whole.

    >>> trimmed("It came.\\n\\nOn Mon, 2 Mar 2026 at 10:00, Lee Roy <lee@a.example> wrote:\\n> Did it come?")
    'It came.'
    """
    lines = [line.rstrip() for line in text.split("\n")]
    if len(lines) > MOST_LINES:
        return text.strip()
    parts = _parts(lines, forwards=FORWARDED_SUBJECT.match(subject) is not None)
    own = [replace(part, lines=_unsigned(part.lines)) if part.kind == "own" else part for part in parts]
    kept = [part for part in own if any(map(_written, part.lines))]
    found = "\n\n".join(_block(part) for part in _answered(kept))
    return found.strip() or text.strip()


def _parts(lines: Sequence[str], *, forwards: bool) -> list[Part]:
    found: list[Part] = []
    own: list[str] = []
    place = 0

    def close() -> None:
        found.append(Part("own", tuple(own)))
        own.clear()

    while place < len(lines):
        line = lines[place]
        if _quoted(line):
            end = _end_of_quote(lines, place)
            close()
            found.append(Part("quoted", lines[place:end]))
            place = end
        elif FORWARDED.fullmatch(_plain(line)) or (forwards and _begins_headers(lines, place)):
            close()
            found.append(Part("forwarded", lines[place:]))
            break
        elif (begin := _after_wrote(lines, place)) is not None:
            following = _next_written(lines, begin)
            if following < len(lines) and not _quoted(lines[following]):
                break  # a program that does not mark what it quotes: all that follows
            close()
            place = following
        elif _begins_headers(lines, place):
            break
        else:
            own.append(line)
            place += 1
    close()
    return found


def _answered(parts: Sequence[Part]) -> list[Part]:
    """All but the quotes. If own parts stand between quotes, the last paragraph of the quote before each stays, too."""
    quotes = [place for place, part in enumerate(parts) if part.kind == "quoted"]
    between = bool(quotes) and any(part.kind == "own" for part in parts[quotes[0] : quotes[-1]])
    found = []
    for place, part in enumerate(parts):
        if part.kind != "quoted":
            found.append(part)
        elif between and place + 1 < len(parts) and parts[place + 1].kind == "own":
            found.append(replace(part, lines=_last_paragraph(part.lines)))
    return found


def _last_paragraph(lines: Sequence[str]) -> tuple[str, ...]:
    found: list[str] = []
    for line in reversed(lines):
        if _written(line.lstrip("> ")):
            found.insert(0, line)
        elif found:
            break
    return tuple(found)


def _block(part: Part) -> str:
    return re.sub(r"\n{3,}", "\n\n", "\n".join(part.lines)).strip("\n")


def _written(line: str) -> bool:
    return not BLANK.fullmatch(line)


def _plain(line: str) -> str:
    """In lower case, with simple blanks, and without the stars of bold text."""
    return re.sub(r"[\s\xa0\u202f\u200b\u200e]+", " ", line[: LONGEST_LINE + 1]).replace("’", "'").strip(" *").lower()


def _quoted(line: str) -> bool:
    return line.lstrip(" ").startswith(">") and not line.startswith("     ")


def _end_of_quote(lines: Sequence[str], place: int) -> int:
    """Where the quoted lines end; blank lines between them belong to them."""
    end = place
    while place < len(lines) and (_quoted(lines[place]) or not _written(lines[place])):
        place += 1
        end = place if _quoted(lines[place - 1]) else end
    return end


def _next_written(lines: Sequence[str], place: int) -> int:
    while place < len(lines) and not _written(lines[place]):
        place += 1
    return place


def _after_wrote(lines: Sequence[str], place: int) -> int | None:
    """The place after "On …, somebody wrote:", which may be broken into several lines; None: it does not stand here."""
    if not _written(lines[place]):
        return None
    joined = ""
    for count in range(1, MOST_LINES_OF_WROTE + 1):
        if place + count > len(lines) or not _written(lines[place + count - 1]):
            return None
        joined = f"{joined} {_plain(lines[place + count - 1])}".strip()
        if len(joined) > LONGEST_LINE:
            return None
        if joined.endswith(":"):
            return place + count if _says_wrote(joined) else None
    return None


def _says_wrote(line: str) -> bool:
    """With a date, and "On …" before "wrote", "wrote on", or an address before "wrote"."""
    verbs = list(WROTE.finditer(line))
    if not verbs or len(line) - verbs[-1].end() > LONGEST_AFTER_WROTE or not DATED.search(line):
        return False
    return bool(LEADS.match(line) or WROTE_ON.search(line) or WROTE_BY.search(line[: verbs[-1].start()]))


def _begins_headers(lines: Sequence[str], place: int) -> bool:
    """Whether a mail without marks begins here: "From: … Sent: … To: … Subject: …", perhaps below a line."""
    if SEPARATOR.fullmatch(_plain(lines[place])):
        following = _next_written(lines, place + 1)
        if following >= len(lines):
            return False
        return _headers(lines, following) or _after_wrote(lines, following) is not None
    return _headers(lines, place)


def _headers(lines: Sequence[str], place: int) -> bool:
    """Whether these lines name sender, subject and more of a mail, with a date."""
    if not HEADER.fullmatch(_plain(lines[place])):
        return False
    names, gaps, dated = set[str](), 0, False
    for line in lines[place : place + 16]:
        plain = _plain(line)
        found = HEADER.fullmatch(plain)
        if found:
            names.add(found[1])
        elif not _written(line):
            gaps += 1  # some programs leave every second line empty
            if len(names) >= 3 or gaps > 4:
                break
        dated = dated or DATED.search(plain) is not None
    return len(names) >= 3 and dated and not names.isdisjoint(FROM) and not names.isdisjoint(SUBJECT)


def _unsigned(lines: Sequence[str]) -> list[str]:
    """Own lines without a signature, a program's line, or a disclaimer at their end."""
    kept = _without_disclaimer(_ended(list(lines)))
    for place in range(_last_written(kept, MOST_OF_SIGNATURE), len(kept)):
        if kept[place].strip() in ("--", "—", "---"):
            kept = kept[:place]
            break
    end = len(kept)
    while end and (not _written(kept[end - 1]) or _of_program(kept[end - 1])):
        end -= 1
    kept = kept[:end]
    return _without_closing(_ended(_without_disclaimer(kept)))


def _last_written(lines: Sequence[str], count: int) -> int:
    """The first place from which at most so many lines are written."""
    place = len(lines)
    while place and (count := count - _written(lines[place - 1])) >= 0:
        place -= 1
    return place


def _ended(lines: list[str]) -> list[str]:
    """Without blank lines at the end."""
    end = len(lines)
    while end and not _written(lines[end - 1]):
        end -= 1
    return lines[:end]


def _of_program(line: str) -> bool:
    plain = _plain(line)
    return SEPARATOR.fullmatch(plain) is not None or (len(plain) <= 160 and SENT_FROM.fullmatch(plain) is not None)


def _without_disclaimer(lines: list[str]) -> list[str]:
    """Without the last paragraphs that are disclaimers. One is long, and stands below own text."""
    cut = len(lines)
    while cut:
        start = cut
        while start and _written(lines[start - 1]):
            start -= 1
        paragraph = " ".join(line.strip() for line in lines[start:cut])[:4000].lower().replace("’", "'").strip(" *_-")
        if start == 0 or len(paragraph) < 60 or not DISCLAIMER.fullmatch(paragraph):
            break
        cut = len(_ended(lines[:start]))
    return lines[:cut]


def _without_closing(lines: list[str]) -> list[str]:
    """Without "Best regards" and the name, title, numbers below it. "Thanks!" with nothing below it stays."""
    for place in range(max(0, len(lines) - 2 * MOST_BELOW_CLOSING), len(lines)):
        below = [one.strip() for one in lines[place + 1 :] if _written(one)]
        if not below or len(below) > MOST_BELOW_CLOSING or not CLOSING.fullmatch(_plain(lines[place])):
            continue
        if _is_name(below[0]) and all(map(_is_of_signature, below)):
            return lines[:place]
    return lines


def _is_name(line: str) -> bool:
    words = line.strip(",|* ").split()
    named = all(word[0].isupper() or word.lower() in PARTICLES or word[0] in "(|" for word in words)
    return 1 <= len(words) <= 6 and named and not NO_NAME.match(line) and line[-1] not in "?!:"


def _is_of_signature(line: str) -> bool:
    if len(line) > 90 or NO_NAME.match(line) or line.endswith(("?", "!")):
        return False
    return bool(CONTACT.fullmatch(line)) or (len(line.split()) <= 8 and not SENTENCE.search(line))
