"""Decides if an invoice's number stands in a text, or only the same digits by chance. Values in, values out."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import islice, pairwise
from typing import Literal

from contracts.money import EXPONENTS

Likelihood = Literal["sure", "chance"]

SHORTEST, LONGEST = 3, 40
MOST_PIECES = 200  # of one text
_WIDEST = 8  # pieces of one number
_FREE = 3  # neighbouring words that may be a number whatever they are
_LONGEST_GAP = 3
_LONG_ENOUGH = 16  # digits that no date, amount, postcode or telephone number has
_CONTEXT = 60  # characters before and after that say what a number is

_PIECE = re.compile(r"[^\W_]+")
_DASHES = str.maketrans("‐‑‒–—−_", "-------")
_MONTHS = "JAN|FEB|MAR|MÄR|APR|MAI|MAY|JUN|JUL|AUG|AOU|AOÛ|SEP|OCT|OKT|NOV|DEC|DEZ|DÉC|ENE|ABR|AGO|DIC"
_MONTH = re.compile(rf"(?:{_MONTHS})[^\W\d_]{{0,6}}")
# A month or a quarter with its year.
_PERIOD = re.compile(
    rf"\d{{0,2}}({_MONTHS})[^\W\d_]{{0,6}}(\d\d|(19|20)\d\d)|(Q[1-4]|[HT][12]|W\d\d?|KW\d\d?)(19|20)?\d\d|(19|20)?\d\d(Q[1-4]|[HT][12])"
)
# A thing that is counted or of a house.
_SMALL = re.compile(r"\d{1,8}[^\W\d_]{1,3}|[^\W\d_]\d{1,3}")
_POSTCODE = re.compile(r"[A-Z]{1,2}\d[A-Z\d]?\d[A-Z]{2}|[A-Z]\d[A-Z]\d[A-Z]\d")
_DATE = re.compile(
    r"(\d{4}([-./ ])\d\d?\2\d\d?|\d\d?([-./ ])\d\d?\3(\d{4}|\d\d)|\d\d?[-./]((19|20)\d\d)|(19|20)\d\d[-./]\d\d?)"
)
_AMOUNT = re.compile(r"\d{1,3}([.,'’ ]\d{3})+([.,]\d{1,3})?|\d+[.,]\d{1,3}")
_ZIP = re.compile(r"\d{5}-\d{3,4}|\d\d-\d{3}|\d{3}-\d{4}")
# A postcode with the letters of its country, by how many digits these have.
_COUNTRY_ZIP = re.compile(
    r"(?:A|AT|AU|B|BE|BG|CH|CY|DK|FL|H|HU|L|LI|LU|LV|N|NL|NO|NZ|SI|SLO)\d{4}(?:[A-Z]{2})?"
    r"|(?:CZ|D|DE|E|EE|ES|F|FI|FIN|FR|GR|HR|I|IT|LT|MC|P|PL|PT|RS|S|SE|SK|SM|TR|UA|US)\d{5}"
    r"|(?:CN|RO|RU|SG)\d{6}|(?:P|PT|JP)\d{7}"
)
_PHONE = re.compile(r"0[1-9]\d{6,11}|00[1-9]\d{8,13}")
_PHONE_WRITTEN = re.compile(r"\+?1?[-. ]?\(?\d{3}\)?[-. ]\d{3}[-. ]\d{4}")
_NEXT_WORD = re.compile(r"[\s/(,-]{1,3}([^\W\d_]{2,})(?!\w|[-/.]\d)")
_NEXT_GROUP = re.compile(r"[\s/-]\d")
_LONGEST_ZIP = 7
_HALVES = re.compile(r"([^\W\d_]+)(\d+)|(\d+)([^\W\d_]+)")
_LONG_DIGITS = 7  # of a number that no house, postcode or amount in words has by chance
_OF_LABELS = frozenset(".:#№°-/")
_LONG_WORD = 4  # letters that are no country, state, currency, or short for a word
_JOINED_BEFORE = re.compile(r"[^\W_][-/.]$")
_JOINED_WORD = re.compile(r"(?:rechnung|invoice|factura|facture|fattura|faktur|factuur|fatura|inv|rg|nr|no)[-/.]$")
_JOINED_AFTER = re.compile(r"(?:[-/]|[.,:'’](?=\d))([^\W_]+(?:[-/][^\W_]+)*)")
# What people write behind an invoice's number. Any other word there may be the name of a place.
_CONTINUATIONS = """
    and of from for to by on in dated date due paid pay payment payments thanks thank thx regards with plus no number
    per ref reference rent fee fees invoice monthly month year account customer client order amount total part full
    rest balance less minus discount bill goods services service re
    und von vom für fuer fur bis mit ohne abzüglich abzgl abzueglich danke dank miete zahlung rate
    kunde kundennr kundennummer betrag datum fällig faellig bezahlt über ueber per sowie rest skonto
    et du des de pour par en avec sans merci loyer paiement montant client solde
    del por para con sin gracias alquiler pago cliente importe fecha y
    di della per con grazie affitto pagamento cliente importo saldo
    van het voor met bedankt huur betaling klant bedrag factuurdatum
    da do dos com obrigado aluguel pagamento och og ja av för med tack kiitos z za dla
"""
_GOES_ON = frozenset(_CONTINUATIONS.split())
_GLUED_BEFORE = re.compile(r"\d[.:'’\-*]$|(?<!\d)(\d{1,3},|(\d{1,2}|(19|20)\d\d)/|\+)$")
_GLUED_AFTER = re.compile(r"[.:'’\-*]\d|,\d{1,3}(?!\d)|/(\d{1,2}|(19|20)\d\d)(?!\d)")
_MONEY_BEFORE = re.compile(r"(?:[€$£¥]|(?<![^\W_])([A-Za-z]{3}))\s?[-+]?$")
_MONEY_AFTER = re.compile(
    r"\s?(?:[TK]?[€$£¥%]|[.,]-|([A-Za-z]{3})(?![^\W_])|(euros?|dollars?|cents?)\b)", re.IGNORECASE
)
_OF_AMOUNTS = frozenset(".,:'’")
_CURRENCIES = frozenset({"eur", "usd", "gbp", "chf"})
_WORD = (
    r"inv|invoices?|rechnung(?:en|s?nr|s?nummern?)?|rg|rgnr|rgn|facturas?|factures?|fattur[ae]|faktur\w{0,4}|factuur|facturen"
    r"|fatura|lasku\w{0,4}|сч[её]т\w{0,4}"
)
_SEPARATOR = r"(?:\s?[,;]\s(?:and|und|et|y|e)\s|\s?[,;&+/]\s?|\s(?:and|und|sowie|et|y|e|i|en|och|og|ja|plus)\s)"
_LABEL = re.compile(
    rf"(?:^|[\W_])(?:{_WORD})(?![\s.]*\.\.)[\s.:#№°-]{{0,3}}"
    r"(?:(?:no|nos|nr|nrs|n|num|number|numbers|nummer|numero|número)[\s.:#№°-]{1,3})?"
    rf"((?:(?=[\w-]*\d)[\w-]+{_SEPARATOR})*)$"
)


def plain(text: str) -> str:
    """Keep only letters and digits, of any script, in capitals: the form in which numbers are compared.

    >>> plain("inv-1001/b"), plain("Счёт № 77")
    ('INV1001B', 'СЧЁТ77')
    """
    return "".join(_PIECE.findall(text)).upper()


def runs_of(told: str) -> Iterator[tuple[str, int, int]]:
    """Yield neighbouring words that may be one number: `plain`, start and end.

    These are up to three words. They are up to eight words if signs stand between all of them, or if all words between
    the first and the last have a digit.
    """
    found = _pieces(told)
    digits = [not piece.isalpha() for piece, _, _ in found]
    for first, (joined, start, end) in enumerate(found):
        has_digit = digits[first]
        if has_digit and SHORTEST <= len(joined) <= LONGEST:
            yield joined, start, end
        signs = within = True
        for at in range(first + 1, min(first + _WIDEST, len(found))):
            piece, begin, after = found[at]
            gap = told[end:begin].strip()
            signs = signs and bool(gap)
            within = within and (at - 1 == first or digits[at - 1] or len(found[at - 1][0]) == 1)
            joined, end, has_digit = joined + piece, after, has_digit or digits[at]
            if len(gap) > _LONGEST_GAP or len(joined) > LONGEST or (at - first >= _FREE and not signs and not within):
                break
            if has_digit and len(joined) >= SHORTEST:
                yield joined, start, end


def _pieces(told: str) -> list[tuple[str, int, int]]:
    """The first words, in capitals, and where they begin and end."""
    return [(one[0].upper(), *one.span()) for one in islice(_PIECE.finditer(told), MOST_PIECES)]


def places_of(key: str, told: str) -> Iterator[tuple[int, int]]:
    """Yield start and end of neighbouring words that together are the `key`."""
    found = _pieces(told)
    for first, (_, start, _) in enumerate(found):
        joined = ""
        for piece, _, end in found[first:]:
            joined += piece
            if joined == key:
                yield start, end
            if not key.startswith(joined):
                break


def _gaps(text: str) -> dict[int, str]:
    """The signs and spaces between the words, by the number of letters and digits before them."""
    gaps: dict[int, str] = {}
    count, last = 0, 0
    for one in _PIECE.finditer(text):
        if count:
            gaps[count] = text[last : one.start()]
        count, last = count + len(one.group().upper()), one.end()
    return gaps


def _grouped(key: str, gaps: dict[int, str]) -> bool:
    """Whether a long number is written in groups of one size with spaces, as RF18 5390 0754 7034."""
    ends = [0, *gaps, len(key)]
    sizes = [after - before for before, after in pairwise(ends)]
    first, *middle, last = sizes
    size = max(sizes)
    return len(key) >= 8 and all(not gap.strip() for gap in gaps.values()) and size <= 5 and (
        all(each == size for each in middle) and first <= size and last <= size and (first == size or last == size)
    )  # fmt: skip


def _spelled(key: str, written: str, number: str) -> Likelihood | None:
    """Whether it is written like the number: with its own signs, with spaces in their place, or without any.

    Other signs beside letters make no difference. Between digits they make dates and amounts.
    """
    told, own = _gaps(written), _gaps(number)
    letters = not key.isdecimal()
    likely: Likelihood = "sure"
    added = {at: gap for at, gap in told.items() if at not in own}
    if added and not _grouped(key, told):
        between_digits = [gap for at, gap in added.items() if key[at - 1].isdecimal() and key[at].isdecimal()]
        if between_digits and (not letters or any({*gap} & _OF_AMOUNTS for gap in between_digits)):
            return None
        likely = "chance" if between_digits and not (len(key) >= 8 and key[:2].isalpha()) else "sure"
    for at, gap in own.items():
        here = told.get(at)
        if here is None or not here.strip():
            likely = likely if letters else "chance"
        elif here.strip().translate(_DASHES) != gap.strip().translate(_DASHES) and not letters:
            if {*here, *gap} & _OF_AMOUNTS:
                return None
            likely = "chance"
    return likely


def _dated(digits: str, year: int) -> bool:
    """Whether digits without signs may be a year, a month or a day within about three years of `year`."""
    near = {f"{each % 100:02}" for each in range(year - 3, year + 3)}
    if len(digits) == 4:
        return digits[:2] == "20" and digits[2:] in near
    if len(digits) == 6 and (digits[:2] == "20" and digits[2:4] in near and digits[4:] <= "12"):
        return True
    if len(digits) == 6 and digits[2:4] == "20" and digits[4:] in near and digits[:2] <= "12":
        return True
    if len(digits) == 8:
        for century, rest in ((digits[:2], digits[2:]), (digits[4:6], digits[:4] + digits[6:])):
            if century == "20" and _dated(rest, year):
                return True
        return False
    if len(digits) != 6:
        return False
    for two, months, days in ((0, 2, 4), (4, 2, 0), (4, 0, 2)):
        told = digits[two : two + 2], digits[months : months + 2], digits[days : days + 2]
        if told[0] in near and "01" <= told[1] <= "12" and "01" <= told[2] <= "31":
            return True
    return False


def likelihood(told: str, start: int, end: int, number: str, year: int) -> Likelihood | None:
    """How likely a known number is meant here in a text; None if it is a date, an amount or another number.

    Digits alone, and forms as short as a house's number, are too often there by chance. They are sure only behind a
    word for invoices.

    >>> for text in ("Inv. 010326", "of 01.03.26", "a postcode 80532", "INV 2026/03/7", "80.532", "80532 EUR"):
    ...     number = "INV-2026-03-7" if "INV" in text else "010326" if "01" in text else "80532"
    ...     [likelihood(text, at, end, number, 2020) for key, at, end in runs_of(text) if key == plain(number)]
    ['sure']
    [None]
    ['chance']
    ['sure']
    [None]
    [None]
    """
    key, written = plain(number), told[start:end]
    spelled = _spelled(key, written, number)
    if spelled is None:
        return None
    before, after = told[max(0, start - _CONTEXT) : start], told[end : end + _CONTEXT]
    if not key.isdecimal():
        digits = re.sub(r"^\D+", "", written)
        parted = plain(digits) in number and (_is_date(digits) or _AMOUNT.fullmatch(digits))
        loose = _loosely_joined(key, written, number) or _goes_on(before, written, after)
        return "chance" if parted or loose or _of_something_else(key) else spelled
    if _GLUED_BEFORE.search(before) or _GLUED_AFTER.match(after) or _money(before, after):
        return None
    signs = written != key
    if signs and (_is_date(written) or _AMOUNT.fullmatch(written)):
        return "chance" if spelled == "sure" else None
    if _is_phone(key, written) or _in_address(key, written, after) or _in_groups(key, before, after):
        return "chance"
    if len(key) >= _LONG_ENOUGH or (signs and spelled == "sure" and len(key) >= 7 and _no_other(written)):
        return "sure"
    return "sure" if _labelled(before, written) and not _dated(key, year) and not _of_something_else(key) else "chance"


def _loosely_joined(key: str, written: str, number: str) -> bool:
    """Whether letters and digits of a short number stand apart, so that they may be a word and an amount or a house.

    They belong together if they are written with the number's own sign or without any. With a blank between them, they
    belong together only behind a word for invoices.
    """
    halves = _HALVES.fullmatch(key)
    if halves is None or len(halves[2] or halves[3]) >= _LONG_DIGITS:
        return False
    at = len(halves[1] or halves[3])
    told, own = _gaps(written).get(at, ""), _gaps(number).get(at, "").strip().translate(_DASHES)
    sign = told.strip().translate(_DASHES)
    if sign == own and (sign or not told):
        return False
    letters = (halves[1] or halves[4]).casefold()
    if re.fullmatch(_WORD, letters):
        return not set(sign) <= _OF_LABELS
    return bool(sign) or len(letters) < _LONG_WORD


def _goes_on(before: str, written: str, after: str) -> bool:
    """Whether signs join it to more letters or digits, so that it is a part of something else."""
    if _JOINED_BEFORE.search(before) and not _JOINED_WORD.search(before.casefold()):
        return True
    more = _JOINED_AFTER.match(after)
    if more is None:
        return False
    other, shown = more[1].casefold(), written.casefold()
    next_one = _alike(shown, other) or (len(other) >= SHORTEST and _alike(shown[-len(other) :], other))
    return not (after[0] == "/" and next_one)


def quoted(reference: str, number: str, year: int) -> Likelihood | None:
    """How likely a whole reference, which the payer was asked to give, is the number.

    It may also be a date or a telephone number. If digits have signs between them that the number does not have, it is
    in doubt.

    >>> [quoted(one, "4513", 2026) for one in ("4513", "45.13", "45/13")], quoted("2026/0042", "2026-0042", 2026)
    (['sure', None, 'chance'], 'sure')
    >>> quoted("01.03.26", "010326", 2026), quoted("010326", "010326", 2026), quoted("089/1234567", "0891234567", 2026)
    (None, 'chance', 'chance')
    """
    key, written = plain(number), reference.strip()
    if not key.isdecimal():
        same = written == number.strip()
        return "chance" if _PERIOD.fullmatch(key) or (_of_something_else(key) and not same) else "sure"
    spelled = _spelled(key, written, number)
    parted = any({*gap} & _OF_AMOUNTS for gap in _gaps(reference).values())
    if spelled != "sure" and (parted or _DATE.fullmatch(written)):
        return None
    dated = written == key and _dated(key, year)
    return "chance" if spelled is None or dated or _is_phone(key, written) else "sure"


def _of_something_else(key: str) -> bool:
    """Whether it looks like a month, a house's number, a postcode or an amount with its currency."""
    forms = (_PERIOD, _SMALL, _POSTCODE, _COUNTRY_ZIP)
    return any(form.fullmatch(key) for form in forms) or (key[:3] in EXPONENTS and key[3:].isdecimal())


def _is_phone(key: str, written: str) -> bool:
    return bool(_PHONE.fullmatch(key) or _PHONE_WRITTEN.fullmatch(written))


def _in_address(key: str, written: str, after: str) -> bool:
    """Whether it may be a postcode, or a house's number, before the name of a place."""
    if len(key) > _LONGEST_ZIP and not _ZIP.fullmatch(written):
        return False
    word = _NEXT_WORD.match(after)
    if word is None or re.fullmatch(_WORD, word[1].casefold()) or _MONTH.fullmatch(word[1].upper()):
        return False
    return word[1].casefold() not in _GOES_ON


def _in_groups(key: str, before: str, after: str) -> bool:
    """Whether more digits follow, of a telephone number, an amount, an account or a card."""
    if (len(key) <= 3 or key.startswith("0")) and _NEXT_GROUP.match(after):
        return True
    groups = re.match(r"(?:\s\d+){2,}", after)
    return groups is not None and all(len(one) == len(key) and not _alike(key, one) for one in groups[0].split()[:2])


def _labelled(before: str, written: str) -> bool:
    """Whether it stands behind a word for invoices: directly, or in a list of numbers that are alike."""
    label = _LABEL.search(before.casefold())
    if label is None:
        return False
    listed = [one for one in re.split(_SEPARATOR, label[1]) if one]
    return all(_alike(one, other) for one, other in pairwise([*listed, written.casefold()]))


def _alike(one: str, other: str) -> bool:
    """Whether two numbers may be of one series: the same length, signs and first half."""
    half = len(one) // 2
    return re.sub(r"\d", "0", one) == re.sub(r"\d", "0", other) and one[:half] == other[:half]


def _is_date(written: str) -> bool:
    """Whether digits with signs are a day, or a year and one of its months."""
    if not _DATE.fullmatch(written):
        return False
    parts = [int(part) for part in re.findall(r"\d+", written)]
    return len(parts) == 3 or 1 <= min(parts) <= 12


def _no_other(written: str) -> bool:
    """Whether digits with signs are neither a telephone number nor a postcode."""
    return not (written.startswith("0") or _ZIP.fullmatch(written) or " " in written)


def _money(before: str, after: str) -> bool:
    """Whether a currency's code or sign stands beside it."""
    for found in (_MONEY_BEFORE.search(before), _MONEY_AFTER.match(after)):
        if found is not None and (found[1] is None or found[1] in EXPONENTS or found[1].casefold() in _CURRENCIES):
            return True
    return False
