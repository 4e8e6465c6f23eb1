"""Every topic: `<service>.<aggregate>.v<major>`, with 12 partitions; that number never changes."""

from dataclasses import dataclass

PARTITIONS = 12


@dataclass(frozen=True, slots=True)
class Topic:
    """`public`: other systems may subscribe.

    `compacted`: Kafka keeps the newest record of each key, so that older sequences may be missing; a null body erases.
    """

    name: str
    about: str
    public: bool = True
    compacted: bool = False
    commands: bool = False

    @property
    def owner(self) -> str:
        """The service that alone writes here; a topic of commands is the one that it reads them from."""
        return self.name.partition(".")[0]


INVOICE = Topic("invoicing.invoice.v1", "An invoice's amounts and states.")
RESERVATION = Topic("invoicing.reservation.v1", "What a payment under way holds of invoices.")
SETTLEMENT = Topic("invoicing.settlement.v1", "What a reconciled payment paid, and what became credit.")
CREDIT = Topic("invoicing.credit.v1", "A customer's unapplied money.")
CREDIT_NOTE = Topic("invoicing.credit-note.v1", "Credit notes, and what is left of each.")
CUSTOMER = Topic("invoicing.customer.v1", "Customers with names and addresses.", public=False, compacted=True)
INBOUND = Topic("invoicing.inbound.v1", "Commands of other systems.", commands=True)
OUTCOMES = Topic("invoicing.outcomes.v1", "The answer to each command.")
PAYMENT = Topic("payments.payment.v1", "A payment's states and reconciliation.")
METHOD = Topic("payments.method.v1", "Payment methods: kind and funding, no numbers.")
AUTOPAY = Topic("payments.autopay.v1", "Autopay of a customer: on, off, held, and what it will charge when.")
EXCEPTION = Topic("payments.exception.v1", "Exceptions that were given to one of the company's people.", public=False)
KEY = Topic("auth.key.v1", "API keys made and revoked; no secrets.", public=False)
CREDENTIAL = Topic("auth.credential.v1", "Keys and sessions that are refused from now on; no secrets.", public=False)
CONTACT = Topic("auth.contact.v1", "People of customers and of the company.", public=False, compacted=True)
COMPANY = Topic("auth.company.v1", "The company's settings.", public=False, compacted=True)
NOTICE = Topic("auth.notice.v1", "What a person is mailed at once; secrets are sealed to notify.", public=False)
LINK = Topic("auth.link.v1", "Links for mails that open the portal, sealed to notify.", public=False)
TICKET = Topic("support.ticket.v1", "Tickets: their kind and status, who spoke; no texts, no names.")
DISPUTE = Topic("support.dispute.v1", "Disputes of invoices and of their lines: status, lines, amounts; no texts.")
TICKET_NOTICE = Topic("support.notice.v1", "What people are mailed of tickets, sealed to notify.", public=False)

TOPICS: tuple[Topic, ...] = (
    INVOICE,
    RESERVATION,
    SETTLEMENT,
    CREDIT,
    CREDIT_NOTE,
    CUSTOMER,
    INBOUND,
    OUTCOMES,
    PAYMENT,
    METHOD,
    AUTOPAY,
    EXCEPTION,
    KEY,
    CREDENTIAL,
    CONTACT,
    COMPANY,
    NOTICE,
    LINK,
    TICKET,
    DISPUTE,
    TICKET_NOTICE,
)
