"""The events that auth hears, and the context that handles each."""

from auth.links.handlers import end_links, make_links, with_links
from auth.people.handlers import forget_customers, keep_customers
from chassis.messaging.handlers import Handlers
from contracts import invoicing as heard

handlers = Handlers("auth", gathers_ms=1_000)  # nobody waits for it in a request

handlers.on_many(heard.CustomerChanged)(keep_customers)
handlers.on_many(heard.CustomerErased)(forget_customers)
handlers.on_many(heard.InvoiceIssued, acts=True)(make_links)
handlers.on_many(heard.InvoicePaid, heard.InvoiceReopened, heard.InvoiceVoided, wants=with_links)(end_links)
