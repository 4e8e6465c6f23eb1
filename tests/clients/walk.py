"""The README's first payment, by the client that is generated from the API's document: `walk.py URL KEY`."""

import sys
import time
import uuid
from collections.abc import Callable
from datetime import date

from paidup_client import AuthenticatedClient
from paidup_client.api.customers import create_customer
from paidup_client.api.invoices import get_invoice, invoice_timeline, issue_invoice
from paidup_client.api.payment_methods import add_method
from paidup_client.api.payments import get_payment, pay, payment_timeline, quote
from paidup_client.models import (
    Conflict,
    CreateCustomer,
    Customer,
    InvoiceDetail,
    InvoiceTimeline,
    InvoiceToPay,
    IssueInvoice,
    LineRequest,
    MethodRequest,
    MethodView,
    PaymentRequest,
    PaymentTimeline,
    PaymentView,
    Problem,
    QuoteRequest,
    QuoteView,
)  # fmt: skip

url, key = sys.argv[1:]
client = AuthenticatedClient(base_url=url, token=key)
patience = 60


def once_heard(ask: Callable[[], object]) -> object:
    """The answer of a service, once it has heard of what the request names as seen."""
    end = time.monotonic() + patience
    while isinstance(answer := ask(), Problem) and answer.type_.endswith(":not-yet-here"):
        assert time.monotonic() < end, answer
    return answer


mark = uuid.uuid4().hex[:8]

customer = create_customer.sync(client=client, body=CreateCustomer(external_id=f"PY-{mark}", name="Acme Corp"))
assert isinstance(customer, Customer), customer
line = LineRequest(description="Subscription", quantity=1, unit_price_minor=10_000, tax_rate="0.0825")
invoice = issue_invoice.sync(
    client=client,
    body=IssueInvoice(
        customer_id=str(customer.id), number=f"PY-{mark}", currency="USD", issued_on=date(2026, 1, 5),
        due_on=date(2026, 2, 4), lines=[line],
    ),
)  # fmt: skip
assert isinstance(invoice, InvoiceDetail), invoice
card = MethodRequest(provider_token="pm_card_visa", accept_terms=True)
seen = f"{customer.id}:1"
method = once_heard(lambda: add_method.sync(str(customer.id), client=client, body=card, paidup_seen=seen))
assert isinstance(method, MethodView), method
wish = QuoteRequest(customer_id=customer.id, method_id=method.id, invoices=[InvoiceToPay(invoice_id=invoice.id)])
quoted = once_heard(lambda: quote.sync(client=client, body=wish, paidup_seen=f"{invoice.id}:1"))
assert isinstance(quoted, QuoteView), quoted
payment = pay.sync(client=client, body=PaymentRequest(quote_id=quoted.id, accept_surcharge=True), idempotency_key=mark)
assert isinstance(payment, PaymentView), payment
again = pay.sync(
    client=client, body=PaymentRequest(quote_id=quoted.id, accept_surcharge=True), idempotency_key=f"{mark}-2"
)
assert isinstance(again, Conflict), again
assert again.payment_id == payment.id

end = time.monotonic() + patience
while (now := get_invoice.sync(str(invoice.id), client=client)) and now.status != "paid":
    assert time.monotonic() < end, now
    time.sleep(0.05)
assert isinstance(now, InvoiceDetail)
timeline = invoice_timeline.sync(str(invoice.id), client=client)
assert isinstance(timeline, InvoiceTimeline), timeline
assert timeline.items[-1].code == "paid"
story = payment_timeline.sync(str(payment.id), client=client)
assert isinstance(story, PaymentTimeline), story
final = get_payment.sync(str(payment.id), client=client)
assert isinstance(final, PaymentView), final
sys.stdout.write(f"{now.number} {now.status} {final.total_minor}\n")
