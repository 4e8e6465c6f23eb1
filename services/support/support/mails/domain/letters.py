"""A mail that came, read: who sent it, its own text, its attachments. Pure; a hostile mail costs bounded time."""

from __future__ import annotations

import email.message
import email.policy
import hashlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from email.headerregistry import Address
from email.parser import BytesParser
from typing import Any

from support.mails.domain.hypertext import text_of
from support.mails.domain.trimming import trimmed

MOST_OF_HEAD, MOST_HEADERS, LONGEST_HEADER = 262_144, 1_000, 20_000
MOST_NESTED, MOST_PARTS, MOST_LINES = 100, 500, 600_000
MOST_OF_TEXT, MOST_OF_BYTES = 200_000, 1_000_000
LONGEST_NAME = 120
LARGEST_ORNAMENT = 8_192
NESTING = re.compile(rb"content-type:[ \t\r\n]{0,8}(?:multipart|message)/", re.IGNORECASE)
CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029]")
UNNAMED = re.compile(r"[\x00-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069/\\]+")
NO_ATTACHMENTS = frozenset(
    {"application/pgp-signature", "application/pkcs7-signature", "application/x-pkcs7-signature"}
)
LATIN = frozenset({"us-ascii", "ascii", "iso-8859-1", "latin-1", "latin1", "windows-1252"})
NO_CHARSETS = frozenset({"idna", "punycode", "undefined"})  # codecs of Python, not of mails
INLINE_TEXT = frozenset({"text/plain", "text/html"})


class Unreadable(ValueError):
    """The mail breaks a rule or a limit; what is wrong stands in it, for the answer to the mail server."""


@dataclass(frozen=True, slots=True)
class Attachment:
    """A file that came with a mail. `name`: as the sender wrote it, without signs that mislead a reader."""

    name: str
    type: str
    content: bytes


@dataclass(frozen=True, slots=True)
class Letter:
    """`sender`: the address of its one author. `digest`: the same for the same mail that comes again.

    `written`: the text without quotes and signatures. `headers`: all of them, names in lower case, not decoded.
    """

    sender: str
    digest: str
    subject: str
    written: str
    attachments: tuple[Attachment, ...]
    headers: tuple[tuple[str, str], ...]
    type: str

    def all(self, name: str) -> list[str]:
        return [value for each, value in self.headers if each == name]


def read_letter(content: bytes) -> Letter:
    """Raises `Unreadable`."""
    _check_size(content)
    try:
        message = BytesParser(policy=email.policy.default).parsebytes(content)
        headers = tuple((name.lower(), str(value)) for name, value in message.raw_items())
        leaves = list(_leaves(message))
        text, attachments = _text_of(leaves), tuple(_attachments(leaves))
        subject = _subject(headers)
        sender = _sender(headers)
    except Unreadable:
        raise
    except Exception as error:  # the standard library raises many kinds of errors for mails that break the rules
        raise Unreadable("it is not written as mails are") from error
    identity = next((value.strip() for name, value in headers if name == "message-id" and value.strip()), "")
    digest = hashlib.sha256(identity.encode(errors="replace") or content).hexdigest()
    return Letter(sender, digest, subject, trimmed(text, subject), attachments, headers, message.get_content_type())


def _check_size(content: bytes) -> None:
    head = re.search(rb"\r?\n\r?\n", content[: MOST_OF_HEAD + 4])
    if head is None and len(content) > MOST_OF_HEAD:
        raise Unreadable("its headers are too long")
    top = content[: head.start()] if head else content
    if top.count(b"\n") > MOST_HEADERS:
        raise Unreadable("it has too many headers")
    if content.count(b"\n") > MOST_LINES:
        raise Unreadable("it has too many lines")
    if len(NESTING.findall(content)) > MOST_NESTED:
        raise Unreadable("it has too many parts")


def _sender(headers: Sequence[tuple[str, str]]) -> str:
    """The address of the one author. More than one header or address is a way to seem somebody else."""
    found = [value for name, value in headers if name == "from"]
    if len(found) != 1 or len(found[0]) > LONGEST_HEADER:
        raise Unreadable("it must have one header From")
    addresses: tuple[Address, ...] = _decoded("From", found[0]).addresses
    if len(addresses) != 1 or not addresses[0].domain:
        raise Unreadable("its header From must have one address")
    return addresses[0].addr_spec.lower()


def _subject(headers: Sequence[tuple[str, str]]) -> str:
    found = next((value for name, value in headers if name == "subject"), "")
    return str(_decoded("Subject", found[:LONGEST_HEADER]))


def _decoded(name: str, value: str) -> Any:
    return email.policy.default.header_factory(name, " ".join(value.split()))


# --- parts


@dataclass(frozen=True, slots=True)
class Leaf:
    """A part that holds no others. `unread`: a text that stands in another form beside it."""

    part: Any
    unread: bool

    @property
    def is_text(self) -> bool:
        """Whether a reader sees its text at once. A text with a file's name is a file."""
        part = self.part
        named = part.get_content_disposition() == "attachment" or part.get_filename() is not None
        return part.get_content_type() in INLINE_TEXT and not named


def _leaves(message: email.message.Message) -> Iterator[Leaf]:
    waiting: list[tuple[Any, bool]] = [(message, False)]
    for _ in range(MOST_PARTS):
        if not waiting:
            return
        part, unread = waiting.pop()
        inside = part.get_payload() if part.is_multipart() and part.get_content_maintype() != "message" else None
        if not isinstance(inside, list):
            yield Leaf(part, unread)
        elif part.get_content_type() == "multipart/alternative":
            chosen = _chosen(inside)
            waiting += [(one, unread or place != chosen) for place, one in reversed(list(enumerate(inside)))]
        else:
            waiting += [(one, unread) for one in reversed(inside)]
    raise Unreadable("it has too many parts")


def _chosen(alternatives: Sequence[Any]) -> int:
    """The place of the plain text, unless it is empty; else of the last one, which shows most."""
    for place, one in enumerate(alternatives):
        if one.get_content_type() == "text/plain" and _decoded_text(one).strip():
            return place
    shown = [place for place, one in enumerate(alternatives) if one.get_content_maintype() in ("text", "multipart")]
    html = [place for place in shown if alternatives[place].get_content_type() != "text/calendar"]
    return (html or shown or [0])[-1]


def _text_of(leaves: Sequence[Leaf]) -> str:
    """All text that a reader sees. A mail program breaks a text into parts where a picture stands in it."""
    found = []
    for part in (leaf.part for leaf in leaves if leaf.is_text and not leaf.unread):
        text = _decoded_text(part)
        if part.get_content_type() == "text/html":
            text = text_of(text)
        elif str(part.get_param("format", "")).lower() == "flowed":
            text = unflowed(text, delete_space=str(part.get_param("delsp", "")).lower() == "yes")
        found.append(text.replace("\r\n", "\n").replace("\r", "\n").strip("\n"))
    return CONTROLS.sub("", "\n\n".join(filter(None, found)))[:MOST_OF_TEXT]


def _decoded_text(part: Any) -> str:
    """The text. A charset that is wrong or unknown is taken for one of those that most mails have."""
    content = part.get_payload(decode=True)
    if not isinstance(content, bytes):
        return ""
    named = part.get_content_charset() or "utf-8"
    for charset in ("utf-8", "cp1252") if named in LATIN or named in NO_CHARSETS else (named, "utf-8", "cp1252"):
        try:
            return content[:MOST_OF_BYTES].decode(charset)
        except (LookupError, ValueError):
            continue
    return content[:MOST_OF_BYTES].decode("utf-8", "replace")


def unflowed(text: str, *, delete_space: bool = False) -> str:
    """Lines as the writer had them: one that ends with a blank goes on in the next (RFC 3676).

    >>> unflowed("One \\nline.\\n> Two \\n> more.\\n-- \\nAnn")
    'One line.\\n> Two more.\\n-- \\nAnn'
    """
    found: list[str] = []
    flows, depth = False, 0
    for line in text.replace("\r\n", "\n").split("\n"):
        own = len(line) - len(line.lstrip(">"))
        rest = line[own:].removeprefix(" ")
        if flows and own == depth and rest != "-- ":
            found[-1] += rest
        else:
            found.append(f"{'>' * own} {rest}" if own else rest)
        flows, depth = rest.endswith(" ") and rest != "-- ", own
        if flows and delete_space:
            found[-1] = found[-1][:-1]
    return "\n".join(found)


def _attachments(leaves: Sequence[Leaf]) -> Iterator[Attachment]:
    for place, leaf in enumerate(leaves, 1):
        part, kind = leaf.part, leaf.part.get_content_type()
        if leaf.is_text or kind in NO_ATTACHMENTS:
            continue
        if part.is_multipart():  # a mail that is attached
            inside = part.get_payload()
            content = b"".join(one.as_bytes() for one in inside)
            yield Attachment(_name(part, f"mail-{place}.eml"), kind, content)
        else:
            decoded = part.get_payload(decode=True)
            content = decoded if isinstance(decoded, bytes) else b""
            if not _is_ornament(part, content):
                yield Attachment(_name(part, f"file-{place}"), kind, content)


def _is_ornament(part: Any, content: bytes) -> bool:
    """Whether it is a small picture of a signature, which stands in the HTML and which nobody attached."""
    stands_in_html = part["Content-ID"] is not None and part.get_content_disposition() != "attachment"
    return part.get_content_maintype() == "image" and stands_in_html and len(content) < LARGEST_ORNAMENT


def _name(part: Any, otherwise: str) -> str:
    """What the sender calls it. What only a reader is misled by goes: it is data, never a path."""
    name = " ".join(UNNAMED.sub(" ", part.get_filename() or "").split())
    stem, dot, end = name.rpartition(".")
    if len(name) > LONGEST_NAME:
        name = stem[: LONGEST_NAME - len(end) - 1] + dot + end if len(end) < 12 else name[:LONGEST_NAME]
    return name or otherwise
