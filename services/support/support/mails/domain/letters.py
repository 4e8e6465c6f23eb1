"""A mail that came, read: who sent it, its own text, its attachments. Pure; a hostile mail costs bounded time."""

from __future__ import annotations

import codecs
import email.policy
import hashlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from email.headerregistry import Address, HeaderRegistry
from email.message import EmailMessage
from email.parser import BytesParser
from typing import Any

from support.mails.domain.hypertext import MOST_OF_HTML, text_of
from support.mails.domain.trimming import trimmed

MOST_OF_HEAD, MOST_HEADERS = 262_144, 1_000
LONGEST_HEADER, MOST_OF_HEADERS = 4_000, 65_536  # of those that are read, as Content-Type: each byte costs much time
DEEPEST, MOST_PARTS, MOST_LINES = 20, 500, 600_000  # each line costs time for each part that it stands in
MOST_OF_TEXT, MOST_OF_BYTES = 200_000, 1_000_000
LONGEST_NAME = 120
LARGEST_ORNAMENT = 8_192
CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029]")
SURROGATES = re.compile(r"[\ud800-\udfff]")  # no text that can be kept
UNNAMED = re.compile(r"[\x00-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff/\\]+")
NO_ATTACHMENTS = frozenset(
    {"application/pgp-signature", "application/pkcs7-signature", "application/x-pkcs7-signature"}
)
LATIN = frozenset({"us-ascii", "ascii", "iso-8859-1", "latin-1", "latin1", "windows-1252"})
CHARSETS = re.compile(
    r"utf-(?:7|8|8-sig|16|16-le|16-be|32|32-le|32-be)|cp\d+|iso8859-\d+|iso2022_\w+|koi8-\w|mac-\w+|gb2312|gbk|gb18030"
    r"|hz|big5|big5hkscs|euc_\w+|shift_jis\w*|johab|tis-620|kz1048|ptcp154|hp-roman8"
)  # of mails, as Python names them; it has others, which are no texts
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
        message = _parsed(content)
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
    written = trimmed(text, subject)
    files = [hashlib.sha256(one.content).hexdigest() for one in attachments]  # some programs repeat an identity
    same = "\n".join((identity, sender, written, *files)).encode(errors="replace") if identity else content
    digest = hashlib.sha256(same).hexdigest()
    return Letter(sender, digest, subject, written, attachments, headers, message.get_content_type())


def _check_size(content: bytes) -> None:
    head = re.search(rb"\r?\n\r?\n", content[: MOST_OF_HEAD + 4])
    if head is None and len(content) > MOST_OF_HEAD:
        raise Unreadable("its headers are too long")
    top = content[: head.start()] if head else content
    if top.count(b"\n") > MOST_HEADERS:
        raise Unreadable("it has too many headers")
    if content.count(b"\n") > MOST_LINES:
        raise Unreadable("it has too many lines")


class Headers:
    """Reads the headers of one mail that say what its parts are: each one once, and not too much of them."""

    def __init__(self) -> None:
        self._registry, self._read, self._size = HeaderRegistry(), dict[tuple[str, str], Any](), 0

    def __call__(self, name: str, value: str) -> Any:
        key = (name.lower(), value)
        if key not in self._read:
            self._size += len(value)
            if len(value) > LONGEST_HEADER or self._size > MOST_OF_HEADERS:
                raise Unreadable("the headers of its parts are too long")
            self._read[key] = self._registry(name, value)
        return self._read[key]


class Part(EmailMessage):
    """A mail, or a part of one, in so many others."""

    depth = 0

    def attach(self, part: Any) -> None:
        part.depth = self.depth + 1
        if part.depth > DEEPEST:
            raise Unreadable("it has too many parts in parts")
        super().attach(part)


def _parsed(content: bytes) -> Part:
    """The limits hold while it is parsed, since that alone may cost minutes."""
    parts = 0

    def begin(policy: Any) -> Part:
        nonlocal parts
        parts += 1
        if parts > MOST_PARTS:
            raise Unreadable("it has too many parts")
        return Part(policy)

    policy = email.policy.EmailPolicy(header_factory=Headers(), message_factory=begin, refold_source="none")
    parsed = BytesParser(policy=policy).parsebytes(content)
    assert isinstance(parsed, Part)
    return parsed


NOT_OF_NAMES = re.compile(r'"(?:[^"\\]|\\.)*"|\([^()]*\)')  # quoted names, and comments


def _sender(headers: Sequence[tuple[str, str]]) -> str:
    """The address of the one author. More than one header or address is a way to seem somebody else."""
    found = [value for name, value in headers if name == "from"]
    if len(found) != 1 or len(found[0]) > LONGEST_HEADER:
        raise Unreadable("it must have one header From")
    header = _decoded("From", _without_name(" ".join(found[0].split())))
    addresses: tuple[Address, ...] = header.addresses
    grouped = any(group.display_name is not None for group in header.groups)
    if header.defects or grouped or len(addresses) != 1 or not addresses[0].domain:
        raise Unreadable("its header From must have one address")
    return addresses[0].addr_spec.lower()


def _without_name(author: str) -> str:
    """The address in angle brackets, where only a name stands before it: mail servers judge that one.

    A name may itself look like an address. What could be a second author stays, and is refused.

    >>> _without_name("ann@home.example <ann@acme.example>"), _without_name('"Roe, Ann" <ann@acme.example>')
    ('<ann@acme.example>', '<ann@acme.example>')
    >>> _without_name("ann@acme.example, <eve@evil.example>")
    'ann@acme.example, <eve@evil.example>'
    """
    name, opened, address = author.rpartition("<")
    alone = opened and address.endswith(">") and not set(NOT_OF_NAMES.sub("", name)) & set('<>,;:"\0')
    return f"<{address}" if alone else author


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


def _leaves(message: Part) -> Iterator[Leaf]:
    waiting: list[tuple[Any, bool]] = [(message, False)]
    while waiting:
        part, unread = waiting.pop()
        inside = part.get_payload() if part.is_multipart() and part.get_content_maintype() != "message" else None
        if not isinstance(inside, list):
            yield Leaf(part, unread)
        elif part.get_content_type() == "multipart/alternative":
            chosen = _chosen(inside)
            waiting += [(one, unread or place != chosen) for place, one in reversed(list(enumerate(inside)))]
        else:
            waiting += [(one, unread) for one in reversed(inside)]


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
    found, of_html = list[str](), MOST_OF_HTML
    for part in (leaf.part for leaf in leaves if leaf.is_text and not leaf.unread):
        text = _decoded_text(part)
        if part.get_content_type() == "text/html":
            html = text[:of_html]
            of_html -= len(html)
            text = text_of(html)
        elif str(part.get_param("format", "")).lower() == "flowed":
            text = unflowed(text, delete_space=str(part.get_param("delsp", "")).lower() == "yes")
        found.append(text.replace("\r\n", "\n").replace("\r", "\n").strip("\n"))
    return CONTROLS.sub("", "\n\n".join(filter(None, found)))[:MOST_OF_TEXT]


def _decoded_text(part: Any) -> str:
    """The text. A charset that is wrong or unknown is taken for one of those that most mails have."""
    content = part.get_payload(decode=True)
    if not isinstance(content, bytes):
        return ""
    content = content[:MOST_OF_BYTES]
    for charset in filter(None, (_charset(part.get_content_charset() or "utf-8"), "utf-8", "cp1252")):
        try:
            return SURROGATES.sub("", content.decode(charset))
        except ValueError:
            continue
    return content.decode("utf-8", "replace")


def _charset(named: str) -> str | None:
    """Python's name of a charset for texts of mails, unless a program writes it for any."""
    try:
        found = None if named in LATIN else codecs.lookup(named).name
    except (LookupError, ValueError):
        return None
    return found if found is not None and CHARSETS.fullmatch(found) else None


def unflowed(text: str, *, delete_space: bool = False) -> str:
    """Lines as the writer had them: one that ends with a blank goes on in the next (RFC 3676).

    >>> unflowed("One \\nline.\\n> Two \\n> more.\\n-- \\nAnn")
    'One line.\\n> Two more.\\n-- \\nAnn'
    """
    found: list[list[str]] = []  # each line in pieces
    flows, depth = False, 0
    for line in text.replace("\r\n", "\n").split("\n"):
        own = len(line) - len(line.lstrip(">"))
        rest = line[own:].removeprefix(" ")
        if flows and own == depth and rest != "-- ":
            found[-1].append(rest)
        else:
            found.append([f"{'>' * own} {rest}" if own else rest])
        flows, depth = rest.endswith(" ") and rest != "-- ", own
        if flows and delete_space:
            found[-1][-1] = found[-1][-1][:-1]
    return "\n".join(map("".join, found))


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
    stands_in_html = "Content-ID" in part and part.get_content_disposition() != "attachment"
    return part.get_content_maintype() == "image" and stands_in_html and len(content) < LARGEST_ORNAMENT


def _name(part: Any, otherwise: str) -> str:
    """What the sender calls it. What only a reader is misled by goes: it is data, never a path."""
    name = " ".join(UNNAMED.sub(" ", part.get_filename() or "").split())
    stem, dot, end = name.rpartition(".")
    if len(name) > LONGEST_NAME:
        name = stem[: LONGEST_NAME - len(end) - 1] + dot + end if len(end) < 12 else name[:LONGEST_NAME]
    return name or otherwise
