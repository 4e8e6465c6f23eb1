"""Who may ask, and what for; and the events of auth."""

from datetime import datetime
from email.errors import HeaderParseError
from email.headerregistry import Address
from typing import Annotated, ClassVar, Literal

from pydantic import AfterValidator, Field

from contracts import topics
from contracts.envelope import Contract, Event
from contracts.invoicing import Email
from contracts.services import SERVICES

EVERY_SCOPE = "*"
SCOPES = (*sorted(scope for service in SERVICES for scope in service.scopes), EVERY_SCOPE)
"""What a caller may do, as `<what>:<how>`. A caller with `*` may do all."""

AUDIENCES = tuple(service.name for service in SERVICES)


def _known(name: str) -> str:
    if name not in AUDIENCES:
        raise ValueError(f"There is no service {name}.")
    return name


Audience = Annotated[str, AfterValidator(_known)]
"""A service that takes internal tokens. Each token is for one of them."""

CallerKind = Literal["system", "contact", "staff"]
"""A program with an API key, a customer's contact, or one of the company's own people."""

CredentialKind = Literal["key", "session", "visit"]
"""By which a caller comes in: an API key, the session of a person who signed in, or the visit of one of the
company's people to a customer's portal."""


def is_mailable(address: str) -> bool:
    """Whether mail servers everywhere take the address: ASCII, written as RFC 5322 has it without quotes."""
    try:
        return address.isascii() and Address(addr_spec=address).addr_spec == address and '"' not in address
    except (ValueError, IndexError, HeaderParseError):
        return False


def _mailable(address: str) -> str:
    if not is_mailable(address):
        raise ValueError("is no address that every mail server takes")
    return address


MailAddress = Annotated[Email, AfterValidator(_mailable)]
"""An address at which people can be mailed."""

SESSION_COOKIE, BROWSER_COOKIE = "__Host-paidup-session", "__Host-paidup-browser"
VISIT_COOKIE = "__Secure-paidup-visit"
"""Auth sets them, the gateway reads them: of who signed in, of the browser, of a visit below its own path."""

UNNAMED = "Paidup"
"""What the company is called in pages and mails until it has set its name."""

Role = Literal["account_manager", "administrator"]
Language = Annotated[str, Field(pattern="^[a-z]{2}$", description="ISO 639-1 code")]


class KeyState(Event):
    topic: ClassVar[topics.Topic] = topics.KEY
    aggregate: ClassVar[str] = "key_id"

    key_id: str


class KeyCreated(KeyState):
    """An API key was made."""


class KeyRevoked(KeyState):
    """An API key is refused from now on."""


class CredentialEnded(Event):
    """An API key, a session or a visit is refused from now on."""

    topic: ClassVar[topics.Topic] = topics.CREDENTIAL
    aggregate: ClassVar[str] = "credential_id"

    credential_id: str
    kind: Annotated[Literal["key", "session"], Field(description="A visit is a session, too")]


class ContactChanged(Event):
    """A person of a customer, whole. Internal: names and addresses of people travel here alone."""

    topic: ClassVar[topics.Topic] = topics.CONTACT
    aggregate: ClassVar[str] = "contact_id"

    contact_id: str
    customer_id: str
    email: str
    name: str | None = None
    language: Language
    enabled: Annotated[bool, Field(description="Whether the contact may sign in, and is sent mails")]


class ContactErased(Event):
    """A contact's name and address are to be forgotten. The body is null."""

    topic: ClassVar[topics.Topic] = topics.CONTACT
    aggregate: ClassVar[str] = "contact_id"
    erases: ClassVar[bool] = True

    contact_id: str


class StaffChanged(Event):
    """One of the company's people, whole."""

    topic: ClassVar[topics.Topic] = topics.CONTACT
    aggregate: ClassVar[str] = "staff_id"

    staff_id: str
    email: str
    name: str | None = None
    language: Language
    role: Role
    enabled: bool


class TaxData(Contract):
    """What the company's invoices say about it as a seller."""

    country: str | None = None
    vat_id: str | None = None
    registration: str | None = None
    address: str | None = None


class CompanyChanged(Event):
    """The company's settings, whole. There is one company, with the id `company`."""

    topic: ClassVar[topics.Topic] = topics.COMPANY
    aggregate: ClassVar[str] = "company_id"

    company_id: str
    name: str
    logo: Annotated[str | None, Field(description="A data URL of a PNG or SVG picture")] = None
    brand_colour: Annotated[str, Field(pattern="^#[0-9a-f]{6}$")]
    time_zone: str
    languages: tuple[Language, ...]
    reply_address: str | None = None
    tax: TaxData | None = None


class NoticeState(Event):
    """Something that a person has to be mailed at once. `person_id`: a contact or one of the company's people.

    `sealed`: what is secret in it, as a JSON object of texts, encrypted to notify (JWE compact). No other service
    can read it. Its names: `code` (6 digits), `link` (a whole address), `device` (a browser in words).
    """

    topic: ClassVar[topics.Topic] = topics.NOTICE
    aggregate: ClassVar[str] = "person_id"

    person_id: str
    sealed: str
    expires_at: Annotated[datetime | None, Field(description="From when the code or link is refused")] = None


class SignInCodeMade(NoticeState):
    """A person asked for a code to sign in, or to prove again who they are. Sealed: `code` and `link`."""


class InvitationMade(NoticeState):
    """A contact is invited to register, or one of the company's people to sign in. Sealed: `link`."""


class ConfirmationMade(NoticeState):
    """A contact chose a password and must confirm the address. Sealed: `link`."""


class PasswordResetMade(NoticeState):
    """A person forgot the password. Sealed: `link`."""


class NewDeviceSeen(NoticeState):
    """A person signed in from a device for the first time. Sealed: `device`."""


class PayerLinkMade(Event):
    """A link that opens the portal at an invoice, for the mails of `about`. Sealed as in a notice: `link`."""

    topic: ClassVar[topics.Topic] = topics.LINK
    aggregate: ClassVar[str] = "link_id"

    link_id: str
    customer_id: str
    invoice_id: str | None = None
    about: Literal["invoice_issued", "reminder", "statement"]
    sealed: str
