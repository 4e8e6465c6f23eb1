"""Replies to a mail about a ticket as people's mail programs write them, with the text that each person wrote."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from email.message import EmailMessage
from email.policy import SMTP

OURS = """\
Paidup Inc wrote to you

Hello Ann Ng,

Lee Roy wrote:

    Which of the boxes is missing?

    When did you order it?

Ticket: T-1042
Subject: Two boxes

Open the ticket:
http://127.0.0.1:18080/support/01990a5d

--
Paidup Inc
You get this mail as a contact of Acme Corp."""
OURS_HTML = """\
<table><tr><td><h1>Paidup Inc wrote to you</h1><p>Hello Ann Ng,</p><p>Lee Roy wrote:</p><p>Which of the boxes is
missing?</p><p>When did you order it?</p><p>Ticket: T-1042</p><a href="http://127.0.0.1:18080/support/01990a5d">Open
the ticket</a></td></tr></table>"""


def quoted(text: str = OURS, mark: str = "> ") -> str:
    return "\n".join(f"{mark}{line}".rstrip() for line in text.split("\n"))


@dataclass(frozen=True)
class Sample:
    """`written`: what support is to keep. `html` beside `plain`, or alone."""

    name: str
    written: str
    plain: str | None = None
    html: str | None = None
    subject: str = "Re: An answer in your ticket T-1042"
    kind: str = 'text/plain; charset="utf-8"'

    def mail(self, sender: str, to: str, **headers: str) -> bytes:
        return mail(sender, to, self.plain, self.html, **{"subject": self.subject, "kind": self.kind, **headers})


def mail(
    sender: str,
    to: str,
    plain: str | None = "It came.",
    html: str | None = None,
    *,
    subject: str = "Re: ticket",
    kind: str = 'text/plain; charset="utf-8"',
    files: Sequence[tuple[str, str, bytes]] = (),
    **headers: str,
) -> bytes:
    """A mail as it travels. `headers`: more of them, with _ for -."""
    message = EmailMessage(policy=SMTP.clone(cte_type="8bit"))
    message["From"], message["To"], message["Subject"] = sender, to, subject
    for name, value in {"Message-ID": f"<{abs(hash((sender, to, plain, html)))}@pc.example>", **headers}.items():
        del message[name.replace("_", "-")]
        if value:
            message[name.replace("_", "-")] = value
    if plain is not None:
        message.set_content(plain.replace("\xad", ""), cte="quoted-printable")
        message.replace_header("Content-Type", kind)
    if html is not None and plain is not None:
        message.add_alternative(html, subtype="html")
    elif html is not None:
        message.set_content(html, subtype="html")
    for name, file_kind, content in files:
        main, _, sub = file_kind.partition("/")
        message.add_attachment(content, main, sub, filename=name)
    return message.as_bytes()


def _t(text: str) -> str:
    return textwrap.dedent(text).strip("\n")


def _outlook(*lines: str, rule: str = "") -> str:
    return "\n".join([*([rule] if rule else []), *lines, "", OURS])


UNDERSCORES = "________________________________"
GMAIL_HTML = (
    '<div dir="ltr">{own}</div><br><div class="gmail_quote gmail_quote_container"><div dir="ltr" class="gmail_attr">'
    '{wrote}<br></div><blockquote class="gmail_quote" style="margin:0 0 0 .8ex">{ours}</blockquote></div>'
)
OUTLOOK_HTML = (
    '<html xmlns:o="urn:schemas-microsoft-com:office:office"><head><style>p.MsoNormal{{margin:0}}</style></head>'
    '<body lang="EN-US"><div class="WordSection1">{own}<p class="MsoNormal"><o:p>&nbsp;</o:p></p><div>'
    '<div style="border:none;border-top:solid #E1E1E1 1.0pt;padding:3.0pt 0in 0in 0in"><p class="MsoNormal">'
    "{headers}</p></div></div>{ours}</div></body></html>"
)

SAMPLES: tuple[Sample, ...] = (
    # --- Gmail
    Sample(
        "gmail web, en, top",
        "The blue one.\n\nWe ordered it on Monday.",
        "The blue one.\n\nWe ordered it on Monday.\n\n"
        "On Tue, Mar 3, 2026 at 10:00 AM Paidup Inc <billing@paidup.test> wrote:\n\n" + quoted(),
    ),
    Sample(
        "gmail web, en, wrote line in two lines",
        "The blue one.",
        "The blue one.\n\nOn Tue, Mar 3, 2026 at 10:00 AM Paidup Incorporated Billing Department <\n"
        "billing@paidup.test> wrote:\n\n" + quoted(),
    ),
    Sample(
        "gmail web, es, top with greeting and closing",
        "Hola, Lee:\n\nFalta la caja azul.",
        "Hola, Lee:\n\nFalta la caja azul.\n\nUn saludo,\nAna Díaz\n\n"
        "El mar, 3 mar 2026 a las 10:00, Paidup Inc (<billing@paidup.test>) escribió:\n\n" + quoted(),
    ),
    Sample(
        "gmail web, de, top with signature",
        "Es ist die blaue Kiste.",
        "Es ist die blaue Kiste.\n\n-- \nAnn Ng\nAcme GmbH, Hafenstraße 1, 20457 Hamburg\n\n"
        "Am Di., 3. März 2026 um 10:00 Uhr schrieb Paidup Inc <billing@paidup.test>:\n\n" + quoted(),
    ),
    Sample(
        "gmail app, de, name first",
        "Die blaue.",
        "Die blaue.\n\nPaidup Inc <billing@paidup.test> schrieb am Di., 3. März 2026, 10:00:\n\n" + quoted(),
    ),
    Sample(
        "gmail web, fr, top",
        "C'est la boîte bleue qui manque.",
        "C'est la boîte bleue qui manque.\n\nCordialement,\nAnne Petit\n\n"
        "Le mar. 3 mars 2026 à 10:00, Paidup Inc <billing@paidup.test> a écrit :\n\n" + quoted(),
    ),
    Sample(
        "gmail web, it, top",
        "Manca la scatola blu.",
        "Manca la scatola blu.\n\nIl giorno mar 3 mar 2026 alle ore 10:00 Paidup Inc <billing@paidup.test> ha\n"
        "scritto:\n\n" + quoted(),
    ),
    Sample(
        "gmail web, pt, top",
        "Falta a caixa azul.",
        "Falta a caixa azul.\n\nEm ter., 3 de mar. de 2026 às 10:00, Paidup Inc <billing@paidup.test>\n"
        "escreveu:\n\n" + quoted(),
    ),
    Sample(
        "gmail web, nl, top",
        "De blauwe doos ontbreekt.",
        "De blauwe doos ontbreekt.\n\nMet vriendelijke groet,\nAnna de Vries\n\n"
        "Op di 3 mrt 2026 om 10:00 schreef Paidup Inc <billing@paidup.test>:\n\n" + quoted(),
    ),
    Sample(
        "gmail, en, html alone",
        "The blue one.\nOrdered on Monday.",
        html=GMAIL_HTML.format(
            own="The blue one.<div>Ordered on Monday.</div>", ours=OURS_HTML,
            wrote='On Tue, Mar 3, 2026 at 10:00 AM Paidup Inc &lt;<a href="mailto:billing@paidup.test">'
            "billing@paidup.test</a>&gt; wrote:",
        ),
    ),
    # --- Outlook
    Sample(
        "outlook desktop, en, top",
        "The blue one is missing. We ordered it on Monday.",
        "The blue one is missing. We ordered it on Monday.\n\nBest regards,\nAnn Ng\nHead of Purchasing\nAcme Corp\n"
        "T +1 555 0100\nwww.acme.example\n\n"
        + _outlook(
            "From: Paidup Inc <billing@paidup.test>", "Sent: Tuesday, March 3, 2026 10:00 AM",
            "To: Ann Ng <ann@acme.example>", "Subject: An answer in your ticket T-1042",
        ),
    ),
    Sample(
        "outlook desktop 2010, en, original message",
        "The blue one.",
        "The blue one.\n\n"
        + _outlook(
            "From: Paidup Inc [mailto:billing@paidup.test]", "Sent: Tuesday, March 3, 2026 10:00 AM", "To: Ann Ng",
            "Subject: An answer in your ticket T-1042", rule="-----Original Message-----",
        ),
    ),
    Sample(
        "outlook desktop, de, top",
        "Hallo,\n\nes ist die blaue Kiste.",
        "Hallo,\n\nes ist die blaue Kiste.\n\nMit freundlichen Grüßen\n\nAnn Ng\nAcme GmbH\nTel. +49 40 123456\n\n"
        + _outlook(
            "Von: Paidup Inc <billing@paidup.test>", "Gesendet: Dienstag, 3. März 2026 10:00",
            "An: Ann Ng <ann@acme.example>", "Betreff: An answer in your ticket T-1042",
        ),
    ),
    Sample(
        "outlook desktop, fr, top",
        "Bonjour,\n\nIl manque la boîte bleue.",
        "Bonjour,\n\nIl manque la boîte bleue.\n\nCordialement,\n\nAnne Petit\nService achats\n\n"
        + _outlook(
            "De : Paidup Inc <billing@paidup.test>", "Envoyé : mardi 3 mars 2026 10:00",
            "À : Anne Petit <anne@acme.example>", "Objet : An answer in your ticket T-1042",
        ),
    ),
    Sample(
        "outlook desktop, es, top",
        "Falta la azul. ¿Cuándo llega?",
        "Falta la azul. ¿Cuándo llega?\n\n"
        + _outlook(
            "De: Paidup Inc <billing@paidup.test>", "Enviado el: martes, 3 de marzo de 2026 10:00",
            "Para: Ana Díaz <ana@acme.example>", "Asunto: Una respuesta en su ticket T-1042",
        ),
    ),
    Sample(
        "outlook desktop, it, top",
        "Manca quella blu.",
        "Manca quella blu.\n\nCordiali saluti\nAnna Rossi\n\n"
        + _outlook(
            "Da: Paidup Inc <billing@paidup.test>", "Inviato: martedì 3 marzo 2026 10:00",
            "A: Anna Rossi <anna@acme.example>", "Oggetto: An answer in your ticket T-1042",
        ),
    ),
    Sample(
        "outlook desktop, en, html alone",
        "The blue one is missing.\n\nWe ordered it on Monday.",
        html=OUTLOOK_HTML.format(
            own='<p class="MsoNormal">The blue one is missing.<o:p></o:p></p><p class="MsoNormal">We ordered it on '
            "Monday.<o:p></o:p></p>",
            headers="<b>From:</b> Paidup Inc &lt;billing@paidup.test&gt;<br><b>Sent:</b> Tuesday, March 3, 2026 10:00 "
            "AM<br><b>To:</b> Ann Ng<br><b>Subject:</b> An answer in your ticket T-1042",
            ours=OURS_HTML,
        ),
    ),
    Sample(
        "outlook web, en, top",
        "The blue one.",
        "The blue one.\n" + _outlook(
            "From: Paidup Inc <billing@paidup.test>", "Sent: Tuesday, March 3, 2026 10:00 AM",
            "To: Ann Ng <ann@acme.example>", "Subject: An answer in your ticket T-1042", rule=UNDERSCORES,
        ),
    ),
    Sample(
        "outlook web, en, html alone",
        "The blue one.",
        html='<html><body><div style="font-family:Aptos">The blue one.</div><div id="appendonsend"></div>'
        '<hr style="display:inline-block;width:98%"><div id="divRplyFwdMsg" dir="ltr"><font><b>From:</b> Paidup Inc '
        "&lt;billing@paidup.test&gt;<br><b>Sent:</b> Tuesday, March 3, 2026 10:00 AM<br><b>To:</b> Ann Ng<br>"
        f"<b>Subject:</b> An answer in your ticket T-1042</font></div>{OURS_HTML}</body></html>",
    ),
    Sample(
        "outlook mobile, en, top",
        "The blue one.",
        "The blue one.\n\nGet Outlook for iOS<https://aka.ms/o0ukef>\n" + _outlook(
            "From: Paidup Inc <billing@paidup.test>", "Sent: Tuesday, March 3, 2026 10:00:00 AM",
            "To: Ann Ng <ann@acme.example>", "Subject: An answer in your ticket T-1042", rule=UNDERSCORES,
        ),
    ),
    Sample(
        "outlook mobile, de, top",
        "Die blaue.",
        "Die blaue.\n\nHolen Sie sich Outlook für Android<https://aka.ms/AAb9ysg>\n" + _outlook(
            "Von: Paidup Inc <billing@paidup.test>", "Gesendet: Dienstag, 3. März 2026 10:00:00",
            "An: Ann Ng <ann@acme.example>", "Betreff: An answer in your ticket T-1042", rule=UNDERSCORES,
        ),
    ),
    Sample(
        "outlook mac, en, date before to",
        "The blue one.",
        "The blue one.\n\n" + _outlook(
            "From: Paidup Inc <billing@paidup.test>", "Date: Tuesday, March 3, 2026 at 10:00 AM",
            "To: Ann Ng <ann@acme.example>", "Subject: An answer in your ticket T-1042",
        ),
    ),
    Sample(
        "outlook desktop, en, disclaimer",
        "The blue one.",
        "The blue one.\n\nKind regards,\nAnn Ng\n\nThis e-mail and any attachments are confidential and "
        "intended solely "
        "for the\naddressee. If you are not the intended recipient, please delete it.\n\nPlease consider the "
        "environment before printing this e-mail, and think of trees.\n\n" + _outlook(
            "From: Paidup Inc <billing@paidup.test>", "Sent: Tuesday, March 3, 2026 10:00 AM", "To: Ann Ng",
            "Subject: An answer in your ticket T-1042",
        ),
    ),
    # --- Apple
    Sample(
        "apple mail, en, top",
        "The blue one.",
        "The blue one.\n\n> On Mar 3, 2026, at 10:00 AM, Paidup Inc <billing@paidup.test> wrote:\n> \n" + quoted(),
    ),
    Sample(
        "ios mail, en, top",
        "The blue one. It's urgent!",
        "The blue one. It's urgent!\n\nSent from my iPhone\n\n> On Mar 3, 2026, at 10:00 AM, Paidup Inc "
        "<billing@paidup.test> wrote:\n> \n> \ufeff\n" + quoted(),
    ),
    Sample(
        "ios mail, de, top",
        "Die blaue.",
        "Die blaue.\n\nVon meinem iPhone gesendet\n\n> Am 03.03.2026 um 10:00 schrieb Paidup Inc "
        "<billing@paidup.test>:\n> \n" + quoted(),
    ),
    Sample(
        "ios mail, fr, top",
        "La bleue.",
        "La bleue.\n\nEnvoyé de mon iPhone\n\n> Le 3 mars 2026 à 10:00, Paidup Inc <billing@paidup.test> a écrit :\n"
        "> \n" + quoted(),
    ),
    Sample(
        "ios mail, es, top",
        "La azul.",
        "La azul.\n\nEnviado desde mi iPhone\n\n> El 3 mar 2026, a las 10:00, Paidup Inc <billing@paidup.test> "
        "escribió:\n> \n" + quoted(),
    ),
    Sample(
        "ios mail, it, html alone",
        "Quella blu.",
        html='<html><body dir="auto">Quella blu.<div><br></div>'
        '<div dir="ltr">Inviato da iPhone</div><div dir="ltr"><br>'
        '<blockquote type="cite">Il giorno 3 mar 2026, alle ore 10:00, Paidup Inc &lt;billing@paidup.test&gt; ha '
        f'scritto:<br><br></blockquote></div><blockquote type="cite"><div dir="ltr">{OURS_HTML}</div></blockquote>'
        "</body></html>",
    ),
    # --- Thunderbird
    Sample(
        "thunderbird, en, bottom",
        "The blue one.\n\nWe ordered it on Monday.",
        "On 3/3/26 10:00, Paidup Inc wrote:\n" + quoted() + "\n\nThe blue one.\n\nWe ordered it on Monday.\n\n-- \n"
        "Ann Ng\nAcme Corp\n",
    ),
    Sample(
        "thunderbird, en, inline",
        _t("""
            Hi Lee,

            > Which of the boxes is missing?

            The blue one.

            > When did you order it?

            On Monday.
        """),
        "Hi Lee,\n\nOn 3/3/26 10:00, Paidup Inc wrote:\n" + quoted(OURS.split("\n\n    When")[0].replace("    ", ""))
        + "\n\nThe blue one.\n\n> When did you order it?\n\nOn Monday.\n\n> \n> Ticket: T-1042\n> Subject: Two boxes\n"
        "\n-- \nAnn Ng\n",
    ),
    Sample(
        "thunderbird, de, bottom with greeting on top",
        "Guten Tag,\n\ndie blaue fehlt.",
        "Guten Tag,\n\nAm 03.03.26 um 10:00 schrieb Paidup Inc:\n" + quoted() + "\n\ndie blaue fehlt.\n\nViele Grüße\n"
        "Ann Ng",
    ),
    Sample(
        "thunderbird, fr, bottom",
        "La bleue.",
        "Le 03/03/2026 à 10:00, Paidup Inc a écrit :\n" + quoted() + "\n\nLa bleue.\n",
    ),
    Sample(
        "thunderbird, it, top, flowed",
        "Manca la scatola blu, quella che abbiamo ordinato lunedì insieme alle altre due.",
        "Manca la scatola blu, quella che abbiamo ordinato lunedì insieme \nalle altre due.\n\nIl 03/03/26 10:00, "
        "Paidup Inc ha scritto:\n" + quoted(),
        kind='text/plain; charset="utf-8"; format=flowed',
    ),
    Sample(
        "thunderbird, pt, inline",
        "> Which of the boxes is missing?\n\nA azul.\n\n> When did you order it?\n\nNa segunda-feira.",
        "Em 03/03/2026 10:00, Paidup Inc escreveu:\n> Which of the boxes is missing?\nA azul.\n>\n> When did you order "
        "it?\nNa segunda-feira.\n> Ticket: T-1042\n",
    ),
    # --- others
    Sample(
        "yahoo web, en, top without marks",
        "The blue one.",
        "The blue one.\n\n    On Tuesday, March 3, 2026 at 10:00:00 AM EST, Paidup Inc <billing@paidup.test> "
        "wrote:  \n \n"
        + quoted(mark=" "),
    ),
    Sample(
        "yahoo app, en, top",
        "The blue one.",
        "The blue one.\n\nSent from Yahoo Mail for iPhone\n\n\nOn Tuesday, March 3, 2026, 10:00 AM, Paidup Inc "
        "<billing@paidup.test> wrote:\n\n" + OURS,
    ),
    Sample(
        "proton, en, top",
        "The blue one.",
        "The blue one.\n\nSent with [Proton Mail](https://proton.me/) secure email.\n\nOn Tuesday, March 3rd, 2026 at "
        "10:00 AM, Paidup Inc <billing@paidup.test> wrote:\n\n" + quoted() + "\n>\n>",
    ),
    Sample(
        "proton old, en, original message",
        "The blue one.",
        "The blue one.\n\n‐‐‐‐‐‐‐ Original Message ‐‐‐‐‐‐‐\n\nOn Tuesday, March 3rd, 2026 at 10:00 AM, Paidup Inc "
        "<billing@paidup.test> wrote:\n\n" + quoted(),
    ),
    Sample(
        "fastmail, en, top with signature",
        "The blue one.",
        "The blue one.\n\n-- \n  Ann Ng\n  ann@acme.example\n\nOn Tue, Mar 3, 2026, at 10:00 AM, Paidup Inc wrote:\n"
        + quoted(),
    ),
    Sample(
        "lotus notes, en, top",
        "The blue one.",
        "The blue one.\n\nRegards,\nAnn Ng\nAcme Corp\n\n\n\nFrom:\tPaidup Inc <billing@paidup.test>\nTo:\tAnn "
        "Ng/Acme@Acme\nDate:\t03/03/2026 10:00 AM\nSubject:\tAn answer in your ticket T-1042\n\n\n\n" + OURS,
    ),
    Sample(
        "lotus notes, de, wrote on",
        "Die blaue.",
        'Die blaue.\n\n\n"Paidup Inc" <billing@paidup.test> schrieb am 03.03.2026 10:00:00:\n\n' + quoted(),
    ),
    Sample(
        "samsung, en, original message",
        "The blue one.",
        "The blue one.\n\n\n\nSent from my Galaxy\n\n\n-------- Original message --------\nFrom: Paidup Inc "
        "<billing@paidup.test>\nDate: 3/3/26 10:00 AM (GMT-05:00)\nTo: Ann Ng <ann@acme.example>\nSubject: An "
        "answer in "
        "your ticket T-1042\n\n" + OURS,
    ),
    Sample(
        "gmx app, de, top",
        "Die blaue.",
        "Die blaue.\n\n--\nDiese Nachricht wurde von meinem Android Mobiltelefon mit GMX Mail gesendet.\n\nAm "
        "03.03.26, "
        "10:00 schrieb Paidup Inc <billing@paidup.test>:\n" + quoted(),
    ),
    Sample(
        "windows mail, en, top",
        "The blue one.",
        "The blue one.\n\nSent from Mail for Windows\n\n" + _outlook(
            "From: Paidup Inc", "Sent: Tuesday, March 3, 2026 10:00 AM", "To: Ann Ng",
            "Subject: An answer in your ticket T-1042",
        ),
    ),
    # --- forwarded
    Sample(
        "gmail web, en, forwards the carrier's mail",
        "See what the carrier says.\n\n---------- Forwarded message ---------\nFrom: Carrier <info@carrier.example>\n"
        "Date: Mon, Mar 2, 2026 at 9:00 AM\nSubject: Your parcel\nTo: Ann Ng <ann@acme.example>\n\nIt is lost.\n\nBest "
        "regards,\nThe Carrier",
        "See what the carrier says.\n\n---------- Forwarded message ---------\nFrom: Carrier <info@carrier.example>\n"
        "Date: Mon, Mar 2, 2026 at 9:00 AM\nSubject: Your parcel\nTo: Ann Ng <ann@acme.example>\n\nIt is lost.\n\nBest "
        "regards,\nThe Carrier\n",
        subject="Fwd: Your parcel",
    ),
    Sample(
        "outlook desktop, de, forwards the carrier's mail",
        "Siehe unten.\n\nVon: Spedition <info@carrier.example>\nGesendet: Montag, 2. März 2026 09:00\nAn: Ann "
        "Ng\nBetreff: "
        "Ihr Paket\n\nEs ist verloren.",
        "Siehe unten.\n\nMit freundlichen Grüßen\nAnn Ng\n\nVon: Spedition <info@carrier.example>\nGesendet: "
        "Montag, 2. "
        "März 2026 09:00\nAn: Ann Ng\nBetreff: Ihr Paket\n\nEs ist verloren.\n",
        subject="WG: Ihr Paket",
    ),
    # --- what must not be cut
    Sample(
        "any, en, thanks in the middle of a text",
        "Thanks, that helps.\n\nBut the blue one did not come:\n- it was ordered on Monday\n- it is paid\n\nThanks!",
        "Thanks, that helps.\n\nBut the blue one did not come:\n- it was ordered on Monday\n- it is "
        "paid\n\nThanks!\n\nOn "
        "Tue, Mar 3, 2026 at 10:00 AM Paidup Inc <billing@paidup.test> wrote:\n\n" + quoted(),
    ),
    Sample(
        "any, en, a post scriptum stays",
        "The blue one.\n\nBest regards,\nAnn\n\nPS: The red one is broken.",
        "The blue one.\n\nBest regards,\nAnn\n\nPS: The red one is broken.\n\nOn Tue, Mar 3, 2026 at 10:00 AM "
        "Paidup Inc "
        "<billing@paidup.test> wrote:\n\n" + quoted(),
    ),
    Sample(
        "any, en, own words that look like a quote",
        "On Monday you wrote: it comes today.\nIt did not:\nFrom: Hamburg\nTo: Berlin",
        "On Monday you wrote: it comes today.\nIt did not:\nFrom: Hamburg\nTo: Berlin\n",
    ),
    Sample("any, en, nothing but a quote", quoted("It came.\nThe blue one."), quoted("It came.\nThe blue one.")),
)  # fmt: skip

ANN, TICKET = "Ann Ng <ann@acme.example>", "ticket+x@replies.example"


def _program(
    name: str, kind: str, plain: str = "I am away.", return_path: str = "ann@acme.example", **headers: str
) -> tuple[str, bytes, str, str]:
    return name, mail(ANN, TICKET, plain, **headers), return_path, kind


def report(sender: str, to: str) -> bytes:
    """What a mail server writes that could not deliver a mail."""
    return (
        f"From: {sender}\r\nTo: {to}\r\nSubject: Undelivered Mail Returned to Sender\r\nMessage-ID: "
        f"<r{abs(hash(to))}@mx>\r\n"
        'Content-Type: multipart/report; report-type=delivery-status; boundary="b"\r\n\r\n--b\r\nContent-Type: '
        "text/plain\r\n\r\n"
        "The mail could not be delivered.\r\n--b\r\nContent-Type: message/delivery-status\r\n\r\nReporting-MTA: "
        "dns; mx\r\n\r\n"
        "Final-Recipient: rfc822; ann@acme.example\r\nAction: failed\r\nStatus: 5.1.1\r\n\r\n--b--\r\n"
    ).encode()


AUTOMATIC: tuple[tuple[str, bytes, str, str], ...] = (
    _program("out of office of Exchange", "automatic", Auto_Submitted="auto-generated", X_Auto_Response_Suppress="All"),
    _program("vacation of RFC 3834", "automatic", Auto_Submitted="auto-replied (vacation)"),
    _program("old vacation program", "automatic", Precedence="bulk"),
    _program("old vacation program, junk", "automatic", Precedence="Junk"),
    _program("autoreply of a host", "automatic", X_Autoreply="yes"),
    _program("autoresponder", "automatic", X_Autorespond="Re: ticket"),
    _program("mailing list", "automatic", List_Id="<all.acme.example>", Precedence="list"),
    _program("empty return path", "automatic", return_path="<>"),
    _program("subject alone, en", "automatic", subject="Out of Office: Re: An answer"),
    _program("subject alone, auto", "automatic", subject="Automatic reply: An answer in your ticket T-1042"),
    _program("subject alone, de", "automatic", subject="Automatische Antwort: An answer"),
    _program("subject alone, de 2", "automatic", subject="Abwesenheitsnotiz: An answer"),
    _program("subject alone, fr", "automatic", subject="Réponse automatique : An answer"),
    _program("subject alone, es", "automatic", subject="Respuesta automática: An answer"),
    _program("subject alone, it", "automatic", subject="Risposta automatica: An answer"),
    _program("subject alone, pt", "automatic", subject="Resposta automática: An answer"),
    _program("subject alone, nl", "automatic", subject="Automatisch antwoord: An answer"),
    _program("our own mail that came back", "loop", X_Paidup_Mail="ticket_answered", Auto_Submitted="auto-generated"),
    _program("failed recipients", "bounce", X_Failed_Recipients="ann@acme.example"),
    ("bounce", report("MAILER-DAEMON@mx.acme.example", TICKET), "<>", "bounce"),
    ("bounce with the person's address", report("ann@acme.example", TICKET), "ann@acme.example", "bounce"),
    ("no reply", mail("no-reply@acme.example", TICKET, "Do not answer."), "no-reply@acme.example", "automatic"),
)  # fmt: skip
