"""The pages for customers: set up a way to pay, authenticate its holder, confirm deposits. No JavaScript."""

from collections.abc import Mapping
from dataclasses import dataclass
from html import escape
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from sandbox.bank_file import decimal, minor_of
from sandbox.card_form import Given, read_form
from sandbox.catalogue import ACCOUNT_NUMBERS, ROUTING_NUMBER, TEST_METHODS
from sandbox.clock import Clock
from sandbox.errors import ApiError
from sandbox.intents import Intents
from sandbox.records import Payment, Session, Setup
from sandbox.setups import Setups
from sandbox.store import Store

_STYLE = """
:root{color-scheme:light dark}body{font:16px/1.5 system-ui,sans-serif;max-width:34rem;margin:0 auto;padding:1rem}
.note{border:2px solid #b45309;border-radius:.5rem;padding:.5rem .75rem;font-weight:600}
fieldset{border:1px solid #8888;border-radius:.5rem;margin:1rem 0;padding:.5rem 1rem 1rem}legend{font-weight:600}
label{display:block;margin-top:.6rem}input:not([type=radio],[type=checkbox]),select{font:inherit;width:100%;
box-sizing:border-box;padding:.5rem;border:1px solid #767676;border-radius:.35rem}
.choice{display:flex;gap:.5rem;align-items:baseline}button{font:inherit;padding:.6rem 1.2rem;margin:1rem .5rem 0 0;
border-radius:.35rem}.wrong{color:#b91c1c;font-weight:600}@media(prefers-color-scheme:dark){.wrong{color:#fca5a5}}
form:has(#kind-card:checked) .bank,form:has(#kind-us_bank_account:checked) .card{display:none}
"""
_COUNTRIES = {
    "US": "United States", "AT": "Austria", "AU": "Australia", "BE": "Belgium", "CA": "Canada", "CH": "Switzerland",
    "DE": "Germany", "ES": "Spain", "FR": "France", "GB": "United Kingdom", "IE": "Ireland", "IT": "Italy",
    "JP": "Japan", "MX": "Mexico", "NL": "Netherlands", "NZ": "New Zealand",
}  # fmt: skip
_EXAMPLE = {"name": "Ann Lee", "line1": "1 Main Street", "city": "Albany", "state": "NY", "postal_code": "12207"}
_CARDS = {
    "4242424242424242": "succeeds, credit",
    "4000056655665556": "succeeds, debit",
    "5555555555554444": "succeeds, credit, Mastercard",
    "5105105105105100": "succeeds, prepaid, Mastercard",
    "4000002760003184": "asks its holder each time (3-D Secure)",
    "4000000000000341": "is kept, but each charge is declined",
}


@dataclass(frozen=True, slots=True)
class Page:
    """A page, or with `to` the way to another."""

    status: int
    html: str = ""
    to: str | None = None


class Pages:
    def __init__(self, store: Store, clock: Clock, intents: Intents, setups: Setups) -> None:
        self._store = store
        self._clock = clock
        self._intents = intents
        self._setups = setups

    def answer(self, verb: str, path: str, form: Mapping[str, str]) -> Page:
        try:
            match verb, path.split("/")[1:]:
                case "GET", ["setup", identifier]:
                    return self._show_setup(self._session(identifier))
                case "POST", ["setup", identifier]:
                    return self._submit_setup(self._session(identifier), form)
                case "GET", ["authenticate", identifier]:
                    return self._show_authentication(identifier)
                case "POST", ["authenticate", identifier]:
                    return self._authenticate(identifier, passed=form.get("answer") == "complete")
                case "GET", ["deposits", identifier]:
                    return _deposits(self._setup(identifier))
                case "POST", ["deposits", identifier]:
                    return self._confirm_deposits(self._setup(identifier), form)
        except ApiError as error:
            return _page(error.status, "That did not work", f"<p>{escape(str(error))}</p>")
        return _page(404, "No such page", "<p>The address is wrong, or the page is no longer there.</p>")

    # setting up

    def _show_setup(self, session: Session) -> Page:
        if session.status == "expired":
            return _page(410, "This page has expired", "<p>Go back to where you came from, and open it again.</p>")
        if session.status != "open":
            return Page(303, to=_returned(session))
        setup = self._setups.setup_of(session)
        wrong = {"number": "The card's bank could not authenticate you. Use another card."} if setup.error else {}
        return _page(200, "Add a way to pay", _form(session, {}, wrong))

    def _submit_setup(self, session: Session, form: Mapping[str, str]) -> Page:
        if session.status != "open":
            return self._show_setup(session)
        given = read_form(form, session.types, self._clock.now())
        if not isinstance(given, Given):
            return _page(422, "Add a way to pay", _form(session, form, given))
        with self._store.change():
            method = given.method(self._clock.now())
            setup = self._setups.submit(session, method, deposits=given.deposits)
        return Page(303, to=setup.action or _returned(session))

    # 3-D Secure

    def _show_authentication(self, identifier: str) -> Page:
        waiting = self._waiting(identifier)
        if isinstance(waiting, Payment):
            currency = waiting.currency.upper()
            money = f"{decimal(minor_of(waiting.amount, currency), currency)} {escape(currency)}"
            what = f"<p>Your bank asks whether you pay <strong>{money}</strong> by card.</p>"
        else:
            what = "<p>Your bank asks whether this card may be kept for later payments.</p>"
        return _page(
            200,
            "Confirm it is you",
            what + '<form method="post"><button name="answer" value="complete">Complete</button>'
            '<button name="answer" value="fail">Fail</button></form>',
        )

    def _authenticate(self, identifier: str, *, passed: bool) -> Page:
        waiting = self._waiting(identifier)
        with self._store.change():
            if isinstance(waiting, Setup):
                session = self._session(waiting.session)
                self._setups.authenticate(waiting, session, passed=passed)
                return Page(303, to=_returned(session) if passed else self._setups.page_of(session))
            self._intents.authenticate(waiting, passed=passed)
        return self._back(waiting)

    def _back(self, payment: Payment) -> Page:
        if payment.return_url is None:
            return _page(200, "Thank you", "<p>You can close this page.</p>")
        result = {
            "payment_intent": payment.id,
            "payment_intent_client_secret": f"{payment.id}_secret_{payment.id[-12:]}",
            "redirect_status": "succeeded" if payment.status == "succeeded" else "failed",
        }
        parts = urlsplit(payment.return_url)
        return Page(303, to=urlunsplit(parts._replace(query=urlencode([*parse_qsl(parts.query), *result.items()]))))

    def _waiting(self, identifier: str) -> Payment | Setup:
        found = self._setup(identifier) if identifier.startswith("seti_") else self._store.payment(identifier)
        if found is None or found.status != "requires_action":
            raise ApiError(409, "Nothing is to be confirmed here any more.")
        return found

    # micro-deposits

    def _confirm_deposits(self, setup: Setup, form: Mapping[str, str]) -> Page:
        amounts = tuple(int(form[name]) if form.get(name, "").isdecimal() else 0 for name in ("first", "second"))
        with self._store.change():
            wrong = self._setups.verify(setup, amounts, None)
        if wrong is not None:
            return _deposits(setup, str(wrong))
        return _page(200, "Your bank account is verified", "<p>You can close this page.</p>")

    def _session(self, identifier: str) -> Session:
        session = self._setups.session(identifier)
        if session is None:
            raise ApiError(404, "There is no such page, or it is no longer there.")
        return session

    def _setup(self, identifier: str) -> Setup:
        setup = self._store.kept(Setup, identifier)
        if setup is None:
            raise ApiError(404, "There is no such page, or it is no longer there.")
        return setup


def _returned(session: Session) -> str:
    return session.success_url.replace("{CHECKOUT_SESSION_ID}", session.id)


def _page(status: int, title: str, body: str) -> Page:
    note = '<p class="note" role="note">Sandbox: no real money moves here. Never enter a real card or account.</p>'
    head = f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
    head += f'<meta name="viewport" content="width=device-width,initial-scale=1"><style>{_STYLE}</style></head>'
    return Page(status, f"{head}<body><main><h1>{title}</h1>{note}{body}</main></body></html>")


def _deposits(setup: Setup, wrong: str | None = None) -> Page:
    if setup.arrives is None:
        return _page(409, "Nothing to confirm", "<p>This bank account waits for no deposits.</p>")
    fault = f'<p class="wrong" role="alert">{escape(wrong)}</p>' if wrong else ""
    fields = _input("first", "First amount in cents", {}, {}, 'inputmode="numeric" required')
    fields += _input("second", "Second amount in cents", {}, {}, 'inputmode="numeric" required')
    intro = "<p>Two small deposits were sent to your account. Enter their amounts; here they are 32 and 45.</p>"
    form = f'<form method="post">{fields}<button>Verify</button></form>'
    return _page(422 if wrong else 200, "Verify your bank account", fault + intro + form)


def _form(session: Session, form: Mapping[str, str], wrong: Mapping[str, str]) -> str:
    kinds = session.types
    chosen = form.get("kind") if form.get("kind") in kinds else kinds[0]
    names = {"card": "Card", "us_bank_account": "US bank account"}
    radios = "".join(_radio("kind", kind, names[kind], checked=kind == chosen) for kind in kinds)
    parts = [_faults(wrong), '<form method="post" novalidate>']
    parts.append(f'<fieldset id="kind"><legend>How you pay</legend>{radios}</fieldset>')
    if "card" in kinds:
        parts.append(_card_fields(form, wrong))
    if "us_bank_account" in kinds:
        parts.append(_bank_fields(form, wrong))
    parts.append(_address_fields(form, wrong))
    agree = _described("agree", wrong)
    parts.append(
        f'<label class="choice"><input type="checkbox" name="agree" value="yes" id="agree"{agree}> I agree that this'
        f" way to pay is kept, and may be charged for my invoices.</label>{_fault('agree', wrong)}<button>Save</button>"
    )
    if session.cancel_url:
        parts.append(f'<a href="{escape(session.cancel_url)}">Cancel</a>')
    return "".join(parts) + "</form>"


def _faults(wrong: Mapping[str, str]) -> str:
    if not wrong:
        return ""
    items = "".join(f'<li><a href="#{name}">{escape(text)}</a></li>' for name, text in wrong.items())
    return f'<div class="wrong" role="alert"><p>Please correct:</p><ul>{items}</ul></div>'


def _card_fields(form: Mapping[str, str], wrong: Mapping[str, str]) -> str:
    cards = {number: f"{number[-4:]}: {_CARDS[number]}" for number in _CARDS}
    return (
        '<fieldset class="card"><legend>Card</legend>'
        + _select("card", "Test card", {**cards, "": "another, typed below"}, form.get("card", "4242424242424242"))
        + _input("number", "Or its number", {}, wrong, 'inputmode="numeric" autocomplete="off"')
        + _input("expires", "Expires (MM/YY)", {"expires": "12/34", **form}, wrong, 'autocomplete="off"')
        + "</fieldset>"
    )


def _bank_fields(form: Mapping[str, str], wrong: Mapping[str, str]) -> str:
    accounts = {}
    for number, token in ACCOUNT_NUMBERS.items():
        fails = (TEST_METHODS[token].fails or "").replace("_", " ")
        accounts[number] = f"…{number[-4:]}: debits {f'fail, {fails}' if fails else 'succeed'}"
    accounts[""] = "another, typed below"
    by_deposits = form.get("verify") == "deposits"
    return (
        '<fieldset class="bank"><legend>Bank account</legend>'
        + _select("account", "Test account", accounts, form.get("account", "000123456789"))
        + _input("routing_number", "Routing number", {"routing_number": ROUTING_NUMBER}, wrong, 'autocomplete="off"')
        + _input("account_number", "Or its account number", {}, wrong, 'inputmode="numeric" autocomplete="off"')
        + _radio("verify", "instant", "Verified at once, as by signing in to the bank", checked=not by_deposits)
        + _radio("verify", "deposits", "Verified by two small deposits", checked=by_deposits)
        + "</fieldset>"
    )


def _address_fields(form: Mapping[str, str], wrong: Mapping[str, str]) -> str:
    form = {**_EXAMPLE, **form}
    return (
        "<fieldset><legend>Billing address</legend>"
        + _input("name", "Name", form, wrong, 'autocomplete="name" required')
        + _input("line1", "Street and number", form, wrong, 'autocomplete="address-line1"')
        + _input("city", "City", form, wrong, 'autocomplete="address-level2"')
        + _input("state", "State or province (as NY)", form, wrong, 'autocomplete="address-level1"')
        + _input("postal_code", "Postal code", form, wrong, 'autocomplete="postal-code" required')
        + _select("country", "Country", _COUNTRIES, form.get("country", "US"))
        + "</fieldset>"
    )


def _input(name: str, label: str, form: Mapping[str, str], wrong: Mapping[str, str], more: str) -> str:
    value = escape(form.get(name, ""))
    return (
        f'<label for="{name}">{label}</label><input id="{name}" name="{name}" value="{value}" {more}'
        f"{_described(name, wrong)}>{_fault(name, wrong)}"
    )


def _described(name: str, wrong: Mapping[str, str]) -> str:
    return f' aria-invalid="true" aria-describedby="{name}-wrong"' if name in wrong else ""


def _fault(name: str, wrong: Mapping[str, str]) -> str:
    return f'<p class="wrong" id="{name}-wrong">{escape(wrong[name])}</p>' if name in wrong else ""


def _select(name: str, label: str, options: Mapping[str, str], chosen: str) -> str:
    shown = "".join(
        f'<option value="{value}"{" selected" if value == chosen else ""}>{escape(text)}</option>'
        for value, text in options.items()
    )
    return f'<label for="{name}">{label}</label><select id="{name}" name="{name}">{shown}</select>'


def _radio(name: str, value: str, label: str, *, checked: bool) -> str:
    mark = " checked" if checked else ""
    field = f'<input type="radio" id="{name}-{value}" name="{name}" value="{value}"{mark}>'
    return f'<label class="choice">{field} {label}</label>'
