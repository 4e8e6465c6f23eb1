"""Renders a mail: texts, then MJML, then HTML; with the same texts as plain text beside it."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping, Sequence
from email.headerregistry import Address
from email.message import EmailMessage
from email.utils import format_datetime
from typing import Any
from urllib.parse import urlsplit

from mjml import mjml2html

from contracts.colours import brand
from contracts.support import reply_to
from notify.domain.catalogue import BY_NAME
from notify.rendering.texts import Texts
from notify.rendering.view import View

LOGO = re.compile(r"data:image/(png|jpeg|gif);base64,([A-Za-z0-9+/=]+)")
MOST_NUMBERS = 10
UNSAFE = re.compile(r"[\x00-\x1f\x7f-\x9f]+")
NO_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
NOT_IN_NAMES = re.compile(r"[^\w .'&-]+")
LONGEST_NAME = 60


def compose(
    texts: Texts, view: View, secrets: Mapping[str, str], sender: str, unsubscribe: str | None
) -> tuple[EmailMessage, str]:
    """The whole mail, and its language. `unsubscribe`: the address at which a reader stops such mails."""
    language = texts.language(view.person.language, view.company.languages)
    kind = BY_NAME[view.mail.kind]
    values = _values(texts, view, secrets, language) | {"unsubscribe": unsubscribe, "path": kind.path}
    values["link"] = _in_language(secrets["link"], language) if "link" in secrets else _link(kind.path, view)
    plain = texts.fill(kind.name, language, values, escaped=False)
    filled = texts.fill(kind.name, language, values, escaped=True)
    logo = _logo(view.company.logo)
    shared = values | {"brand": brand(view.company.brand_colour), "has_logo": logo is not None}
    around = _around(texts, shared, escaped=True)
    layout = NO_XML.sub("", texts.layout.render(shared | around | {"mail": filled}))
    html = mjml2html(layout, disable_comments=True, fonts={})  # its own fonts are asked of a third party
    text = texts.layout_of_text.render(shared | _around(texts, shared, escaped=False) | {"mail": plain})
    answers = values["reply_to"] or view.company.reply_address
    return _message(view, plain.subject, text, html, logo, language, sender, answers, unsubscribe), language


def _around(texts: Texts, values: Mapping[str, Any], *, escaped: bool) -> dict[str, Any]:
    """What stands around every mail."""
    words = values["words"]
    hello = words["hello" if values["person"].name else "hello_nobody"]
    return {
        "hello": texts.line(hello, values, escaped=escaped),
        "footer": [texts.line(line, values, escaped=escaped) for line in words["footer"]],
    }


def _values(texts: Texts, view: View, secrets: Mapping[str, str], language: str) -> dict[str, Any]:
    invoices = [{**one, "total": {"amount_minor": one["total"], "currency": one["currency"]}} for one in view.invoices]
    return dict(view.mail.facts) | {
        "language": language,
        "time_zone": view.company.time_zone,
        "words": texts.words(language),
        "company": view.company.name,
        "customer": view.customer or "",
        "person": view.person,
        "invoices": invoices,
        "invoice": invoices[0] if invoices else {},
        "invoice_numbers": _numbers([one["number"] for one in invoices]),
        "method": view.method,
        "taken_now": _taken(view.mail.facts),
        "made_at": view.mail.made_at,
        "code": secrets.get("code") or view.mail.facts.get("code", ""),
        "device": secrets.get("device", ""),
        "ticket_subject": secrets.get("subject", ""),
        "written": secrets.get("text", ""),
        "written_by": secrets.get("by", ""),
        "reply_to": secrets.get(reply_to(view.person.id), ""),
        "expires_at": view.mail.expires_at,
        "now": view.now,
    }


def _numbers(numbers: Sequence[str]) -> str:
    """
    >>> _numbers(["A", "B"]), _numbers(["A"] * 12)
    ('A, B', 'A, A, A, A, A, A, A, A, A, A + 2')
    """
    more = len(numbers) - MOST_NUMBERS
    return ", ".join(numbers[:MOST_NUMBERS]) + (f" + {more}" if more > 0 else "")


def _taken(facts: Mapping[str, Any]) -> Any:
    """What went back now without surcharge: all, unless the event says how much; None if it was surcharge alone."""
    taken = facts.get("taken", facts.get("amount"))
    return taken if taken and taken["amount_minor"] else None


def _link(path: str | None, view: View) -> str:
    return view.portal + path.format_map(view.mail.facts) if path else ""


def _in_language(link: str, language: str) -> str:
    """Who opens a link of auth is not signed in yet, so the link says in which language its page is shown.

    >>> _in_language("https://portal.example/login/code#secret", "es")
    'https://portal.example/login/code?language=es#secret'
    """
    return urlsplit(link)._replace(query=f"language={language}").geturl()


def _logo(data: str | None) -> tuple[str, bytes] | None:
    """Kind and bytes of a picture that mail programs show; not SVG, which they don't."""
    found = LOGO.fullmatch(data or "")
    try:
        return (found[1], base64.b64decode(found[2], validate=True)) if found else None
    except binascii.Error:
        return None


def _message(
    view: View,
    subject: str,
    text: str,
    html: str,
    logo: tuple[str, bytes] | None,
    language: str,
    sender: str,
    answers: str | None,
    unsubscribe: str | None,
) -> EmailMessage:
    message = EmailMessage()
    message["From"] = Address(_name(view.company.name), addr_spec=sender)
    message["To"] = Address(_name(view.person.name or ""), addr_spec=view.person.email)
    if answers:
        message["Reply-To"] = Address(_name(view.company.name), addr_spec=answers)
    message["Subject"] = _line(subject)
    message["Date"] = format_datetime(view.now)
    domain = sender.rpartition("@")[2]
    message["Message-ID"] = f"<{view.mail.message_id}@{domain}>"
    if ticket := view.mail.facts.get("ticket_id"):  # mail programs show the mails of one ticket together
        message["In-Reply-To"] = message["References"] = f"<ticket.{ticket}@{domain}>"
    message["Auto-Submitted"] = "auto-generated"
    message["X-Auto-Response-Suppress"] = "OOF, AutoReply"
    message["X-Paidup-Mail"] = view.mail.kind  # by which support knows a mail of ours that came back
    if unsubscribe:
        message["List-Unsubscribe"] = f"<{unsubscribe}>"
        message["List-Unsubscribe-Post"] = "List-Unsubscribe=One-Click"
    message.set_content(text)
    message.add_alternative(html, subtype="html")
    if logo:
        part = message.get_body(("html",))
        assert part is not None
        part.add_related(logo[1], "image", logo[0], cid="<logo>", disposition="inline", filename=f"logo.{logo[0]}")
    message["Content-Language"] = language  # at last: what is set before goes to a part
    return message


def _line(text: str) -> str:
    """On one line: no name begins a header of its own."""
    return UNSAFE.sub(" ", text).strip()


def _name(text: str) -> str:
    """A name beside an address. Without signs that programs take for further addresses, and short enough for a line."""
    return " ".join(NOT_IN_NAMES.sub(" ", text).split())[:LONGEST_NAME].strip()
