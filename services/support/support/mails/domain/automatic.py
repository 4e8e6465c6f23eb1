"""Which mails no person wrote: answers of programs, mails that could not be delivered, and our own that came back."""

from __future__ import annotations

import re
from typing import Literal

from support.mails.domain.letters import Letter

OWN_HEADER = "x-paidup-mail"
"""Notify writes it into every mail; no reply of a person has it."""

Automatic = Literal["loop", "bounce", "automatic"]
PRECEDENCES = frozenset({"bulk", "auto_reply", "auto-reply", "list", "junk"})
SENDERS = re.compile(r"(?:mailer-daemon|postmaster|no-?reply|do-?not-?reply|bounces?)(?:[+=-].*)?@", re.IGNORECASE)
REPORTS = frozenset({"multipart/report", "message/delivery-status", "message/disposition-notification"})
ANSWERS = (
    "x-autoreply", "x-autorespond", "x-autoresponse", "x-auto-response-suppress", "x-mail-autoreply", "list-id",
    "list-unsubscribe",
)  # fmt: skip
SUBJECTS = re.compile(
    r"\W*(?:(?:auto(?:matic|mated)?[- ]?(?:reply|response|answer)|out of (?:the )?office|on vacation"
    r"|i am (?:currently )?away)\b"
    r"|(?:automatische antwort|abwesenheitsnotiz|abwesenheit|abwesend|automatisch antwoord|afwezigheid\w*)\b"
    r"|(?:réponse automatique|absence du bureau|absent du bureau|message d'absence)\b"
    r"|(?:respuesta automática|fuera de (?:la )?oficina|ausente de la oficina)\b"
    r"|(?:risposta automatica|fuori sede|fuori ufficio|assenza dall'ufficio)\b"
    r"|(?:resposta automática|fora do escritório|ausência (?:temporária|do escritório))\b"
    r"|undeliver(?:ed|able)\b|delivery status notification|mail delivery (?:failed|subsystem)|returned mail\b"
    r"|unzustellbar\b)",
    re.IGNORECASE,
)


def automatic(letter: Letter, return_path: str) -> Automatic | None:
    """None: a person wrote it. `return_path`: where failures of this mail go; programs leave it empty."""
    if letter.all(OWN_HEADER):
        return "loop"
    if letter.type in REPORTS or letter.all("x-failed-recipients") or letter.sender.startswith("mailer-daemon@"):
        return "bounce"
    submitted = [value.partition(";")[0].strip().lower() for value in letter.all("auto-submitted")]
    if any(value != "no" for value in submitted) or any(letter.all(name) for name in ANSWERS):
        return "automatic"
    if any(value.strip().lower() in PRECEDENCES for value in letter.all("precedence")):
        return "automatic"
    if return_path.strip("<> ") == "" or SENDERS.match(letter.sender) or SUBJECTS.match(letter.subject):
        return "automatic"
    return None
