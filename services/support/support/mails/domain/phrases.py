"""The words by which mail programs mark what they add to a reply, by language. Patterns of one line, in lower case."""

from __future__ import annotations

import re

# "On 3 March 2026 at 10:00, Lee Roy <lee@acme.example> wrote:" how it begins, and how it ends.
LEADS = re.compile(r"(?:on|am|le|el|il|em|op|den|dnia)\b")
WROTE = re.compile(r"\b(?:wrote|schrieb|a écrit|escribió|ha scritto|escreveu|schreef|skrev)\b")
WROTE_ON = re.compile(
    r"\b(?:wrote on|schrieb am|schrieb um|a écrit le|escribió el|ha scritto il|escreveu em|schreef op)\b"
)
WROTE_BY = re.compile(r"<[^<>\s]+@[^<>\s]+>")
LONGEST_AFTER_WROTE = 160
MOST_LINES_OF_WROTE = 4
DATED = re.compile(r"\d{1,2}[:h.]\d{2}|\d{4}|@|\d{1,2}[./-]\d{1,2}[./-]\d{2}")

# The lines above a quoted mail: who, when, to whom, about what.
FROM = ("from", "von", "de", "da", "van")
SUBJECT = ("subject", "betreff", "objet", "asunto", "assunto", "oggetto", "onderwerp")
OTHERS = (
    "sent", "date", "to", "cc", "bcc", "reply-to", "importance",
    "gesendet", "datum", "an", "kopie", "wichtigkeit", "antwort an",
    "envoyé", "envoyé le", "date d'envoi", "à", "répondre à", "copie à",
    "enviado", "enviado el", "enviada", "enviada em", "enviado em", "fecha", "data", "para",
    "inviato", "inviata", "a", "verzonden", "aan", "responder a", "rispondi a",
)  # fmt: skip
_LABELS = "|".join(map(re.escape, (*FROM, *SUBJECT, *OTHERS)))
HEADER = re.compile(rf"\W{{0,2}}({_LABELS})\s{{0,3}}\W{{0,2}}:\W{{0,2}}(?:\s|$).*")
SEPARATOR = re.compile(
    r"[_\-‐=*]{3,}|[-‐_]{2,}\s*(?:original message|original-?nachricht|ursprüngliche nachricht|message d'origine"
    r"|message original"
    r"|mensaje original|messaggio originale|mensagem original|oorspronkelijk bericht|reply message)\s*[-‐_]{2,}"
)
FORWARDED = re.compile(
    r"(?:[-‐_=]{2,}\s*)?(?:begin )?(?:forwarded message|weitergeleitete nachricht"
    r"|anfang der weitergeleiteten nachricht"
    r"|anfang der weitergeleiteten e-mail|mensaje reenviado|inicio del mensaje reenviado|message transféré"
    r"|début du message transféré"
    r"|début du message réexpédié|messaggio inoltrato|inizio messaggio inoltrato|mensagem encaminhada"
    r"|início da mensagem (?:re)?encaminhada|doorgestuurd bericht|begin doorgestuurd bericht)\s*(?::|[-‐_=]{2,})"
)
FORWARDED_SUBJECT = re.compile(r"\s*(?:fwd?|wg|tr|rv|i|enc|doorst)\s*:", re.IGNORECASE)

# What a program writes below a reply: "Sent from my iPhone".
SENT_FROM = re.compile(
    r"(?:sent (?:from|with|using|via) (?:my |the )?\[?(?:iphone|ipad|android|samsung|galaxy|huawei|blackberry"
    r"|mobile|phone|outlook|mail for windows"
    r"|yahoo|proton|fastmail|gmail|aol|airmail|spark|thunderbird|windows mail|mailbox|bluemail|t-mobile|verizon"
    r"|at&t).{0,80}"
    r"|sent from (?:mail|outlook|my .{1,30}|mobile)"
    r"|get (?:outlook|bluemail) for .{1,80}|yahoo mail: .{1,80}"
    r"|von meinem .{1,60} gesendet|gesendet (?:von|mit|aus|über) .{1,90}"
    r"|diese nachricht wurde von meinem .{1,60} gesendet"
    r"|(?:holen sie sich|laden sie) outlook .{1,60}|outlook für .{1,60}"
    r"|envoyé (?:de|depuis|avec|à partir d).{1,80}|(?:télécharger|obtenez|obtenir) outlook pour .{1,60}"
    r"|enviado (?:desde|do|de|con|com|a partir d).{1,80}|(?:obtener|descargar|obter o?"
    r"|baixar o?)\s?outlook para .{1,60}"
    r"|inviato (?:da|dal|con).{1,80}|(?:scarica|ottieni) outlook per .{1,60}"
    r"|(?:verstuurd|verzonden) (?:vanaf|vanuit|met|via).{1,80}|outlook voor .{1,60} (?:downloaden|krijgen).{0,40})"
    r"[.!]?(?:\s*[<(\[].{1,120}[>)\]])?[.!]?"
)

# "Best regards," above a name.
CLOSING = re.compile(
    r"(?:(?:many |with )?(?:thanks|thank you|thx|cheers|regards|best|sincerely|yours|greetings)"
    r"|(?:kind|best|warm|warmest|kindest|many|with kind|with best) (?:regards|wishes|thanks)|all the best"
    r"|yours (?:sincerely|faithfully|truly)"
    r"|thanks (?:and|&) (?:best |kind )?regards|thanks again|thanks in advance|thanks a lot|thank you very much"
    r"|(?:mit )?(?:freundlichen?|besten?|herzlichen?|lieben?|vielen?|schönen?) (?:grüßen?|grüssen?|gruß|gruss"
    r"|dank)(?: aus .{1,30})?"
    r"|viele grüße|liebe grüße|beste grüße|grüße|gruß|gruss|mfg|vg|lg|danke|danke (?:und|&) .{1,20}|hochachtungsvoll"
    r"|(?:bien )?(?:cordialement|à vous)|(?:sincères |meilleures |cordiales )?salutations(?: distinguées)?"
    r"|merci(?: d'avance| beaucoup)?|bonne journée|bien à vous"
    r"|(?:un )?(?:cordial |atento |afectuoso )?saludos?(?: cordial(?:es)?)?|muchas gracias|gracias|atentamente"
    r"|cordialmente|un abrazo|reciba un cordial saludo"
    r"|(?:cordiali|distinti|cari|tanti|un) saluti?|saluti|grazie(?: mille)?|cordialmente|buona giornata"
    r"|atenciosamente|cumprimentos|com os melhores cumprimentos|melhores cumprimentos|obrigad[oa]|muito obrigad[oa]"
    r"|abraços?|um abraço|att"
    r"|(?:met )?(?:vriendelijke|hartelijke|beste) groet(?:en)?|groet(?:en|jes)?|mvg|bedankt|alvast bedankt|dank u)"
    r"\s*[,.!–-]{0,3}"
)
PARTICLES = frozenset(
    "de da do dos das del della di du des la le los las van von vom zu zur der den ter y e i und and & |".split()  # noqa: SIM905
)

# What a company's mail server writes below each mail.
DISCLAIMER = re.compile(
    r"\W{0,3}(?:confidentiality|confidential|disclaimer|important|legal|privacy|avis|aviso|avvertenza|hinweis"
    r"|wichtiger hinweis|vertraulich\w*|rechtlicher)"
    r"\b.{0,40}(?:notice|note|information|legal|hinweis|confidentialité|confidencialidad|confidencialidade"
    r"|riservatezza|:).*"
    r"|\W{0,3}(?:this|the information (?:contained )?in this|the contents? of this|diese|der inhalt dieser|ce"
    r"|le contenu de ce|este|esta|el contenido de este|questo|questa|dit|de informatie in dit)"
    r" (?:e-?mail|electronic mail|message|communication|nachricht|courriel|courrier|mél|mail|mensaje|correo"
    r"|mensagem|messaggio|comunicazione|bericht)\b"
    r".*(?:confidential|privileged|intended|vertraulich|bestimmt|confidentiel|destiné|destinataire|confidencial"
    r"|destinat|riservat|vertrouwelijk|bestemd).*"
    r"|.*(?:consider the environment before printing|denken sie an die umwelt|pensez à l'environnement"
    r"|antes de imprimir|prima di stampare|denk aan het milieu).*",
    re.DOTALL,
)
