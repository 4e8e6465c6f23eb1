"""Every problem that the API answers: its slug, the statuses that it comes with, and what it means.

A problem's `type` is `urn:paidup:problem:` and the slug. A test holds this list against the code.
"""

from __future__ import annotations

from dataclasses import dataclass

TYPE_PREFIX = "urn:paidup:problem:"


@dataclass(frozen=True, slots=True)
class Kind:
    """`members`: what the problem carries beside the members of all."""

    statuses: tuple[int, ...]
    meaning: str
    members: tuple[str, ...] = ()


PROBLEMS: dict[str, Kind] = {
    # The request itself.
    "body-cut-off": Kind((400,), "The body ended before its end."),
    "idempotency-key-missing": Kind((400,), "The request needs an Idempotency-Key."),
    "malformed-json": Kind((400,), "The body is not JSON."),
    "unauthenticated": Kind((401,), "There is no key or session, or it is unknown, expired or ended: sign in again."),
    "beyond-own-rights": Kind((403,), "A key grants, or ends, no more than it may do itself."),
    "csrf": Kind((403,), "A request by cookie lacks the header Paidup-CSRF, or comes from a page of another site."),
    "forbidden": Kind((403,), "This is not for whoever asks."),
    "step-up-required": Kind((403,), "Prove again who you are, with a code by e-mail."),
    "scope-missing": Kind((403,), "The key lacks the scope that is named."),
    "not-found": Kind((404,), "There is nothing of this id that the key may see."),
    "method-not-allowed": Kind((405,), "The path has other methods."),
    "body-too-large": Kind((413,), "The body is longer than allowed."),
    "unsupported-media-type": Kind((415,), "The body is sent as something else than expected."),
    "idempotency-key-reused": Kind((422,), "The key belongs to a request with another body."),
    "invalid-cursor": Kind((422,), "The cursor is not of this list."),
    "invalid-id": Kind((422,), "The text is not an id."),
    "invalid-request": Kind((422,), "Fields are missing or wrong; `errors` names them."),
    "not-used": Kind((422,), "The field has no use here; leave it out."),
    "choose-one": Kind((422,), "Exactly one of several fields is needed."),
    "request-in-progress": Kind((409,), "The first request with this key is still running."),
    "too-many-requests": Kind((429,), "More requests than allowed; see Retry-After."),
    "too-many-keys": Kind((409,), "The customer has as many living keys as it may; revoke some."),
    "too-many-streams": Kind((429,), "More event streams than allowed."),
    # Not now.
    "internal-error": Kind((500,), "A fault of ours; report it with the request_id."),
    "service-interrupted": Kind((502,), "The service went away while answering; ask again."),
    "auth-unavailable": Kind((503,), "The key can't be checked just now."),
    "not-yet-here": Kind((503,), "What Paidup-Seen names has not arrived yet; ask again."),
    "provider-unavailable": Kind((503,), "The payment provider does not answer; nothing was done."),
    "service-unavailable": Kind((503,), "The service does not answer just now."),
    "too-busy": Kind((503,), "More requests than can be answered; nothing was done, ask again."),
    "too-many-uploads": Kind((503,), "Too many files come in at once; see Retry-After."),
    "unavailable": Kind((503,), "The service can't answer just now; nothing was done."),
    "service-timed-out": Kind((504,), "The service has not answered in time."),
    # People and signing in.
    "contact-disabled": Kind((409,), "The contact is disabled: enable it first."),
    "email-taken": Kind((409,), "Somebody here has this address already."),
    "last-administrator": Kind((409,), "One administrator who may sign in always remains."),
    "link-ended": Kind((410,), "The link of a mail has ended or was used: ask for a new one."),
    "not-oneself": Kind((409,), "Nobody does this to themselves: ask another administrator."),
    "password-refused": Kind((422,), "The password is too short, too long or known."),
    "sign-in-refused": Kind((401,), "The code, or the password, does not fit."),
    "too-many-contacts": Kind((409,), "The customer has as many contacts as it may."),
    "too-many-tries": Kind((429,), "Too many tries without success; see Retry-After."),
    # Customers and invoices.
    "external-id-taken": Kind((409,), "Another customer has this external id."),
    "line-out-of-range": Kind((422,), "A line comes to more than any amount here."),
    "not-a-draft": Kind((409,), "Only a draft can be edited, issued or deleted."),
    "not-voidable": Kind((409,), "Only an invoice of which nothing is paid can be voided."),
    "number-taken": Kind((409,), "Another invoice has this number, or the same with other content."),
    "total-out-of-range": Kind((422,), "The total is not above zero, or more than any amount here."),
    "unknown-customer": Kind((422,), "There is no such customer."),
    # Quotes and payments.
    "amount-not-chargeable": Kind((422,), "The provider can't take this amount."),
    "currency-missing": Kind((422,), "The currency is needed too."),
    "invoice-closed": Kind((422,), "The invoice is paid or void."),
    "invoice-twice": Kind((422,), "An invoice is named twice."),
    "method-needed": Kind((422,), "Credit does not pay all: name a method."),
    "mixed-currencies": Kind((422,), "One payment is of one currency."),
    "more-than-payable": Kind((422,), "The invoice can't take so much."),
    "more-than-received": Kind((422,), "The parts sum to more than was received."),
    "not-cancellable": Kind((409,), "The payment can't be let go of any more."),
    "nothing-payable": Kind((422,), "There is nothing that can be paid now."),
    "other-currency": Kind((409, 422), "The money and what it is for differ in currency."),
    "payment-under-way": Kind((409, 422), "A payment under way holds the invoice."),
    "quote-stale": Kind((409,), "The quote has expired or no longer fits.", ("new_quote", "payment_id")),
    "quote-used": Kind((409,), "The quote was confirmed already.", ("payment_id",)),
    "received-in-future": Kind((422,), "Money can't have been received on a day to come."),
    "surcharge-unanswered": Kind((422,), "The surcharge is neither accepted nor declined."),
    "too-many-invoices": Kind((422,), "One payment pays at most 1,000 invoices."),
    "unknown-invoice": Kind((422,), "The customer has no such invoice."),
    "unknown-quote": Kind((422,), "There is no such quote."),
    # Methods and autopay.
    "autopay-needs-method": Kind((409,), "Autopay needs this method: switch it off or give it another first."),
    "currency-twice": Kind((422,), "A currency is named twice."),
    "deposits-refused": Kind((422,), "The provider does not take these deposits."),
    "deposits-wrong": Kind((422,), "The deposits are others."),
    "method-disabled": Kind((409,), "A bank refused the method for good, so it can't be charged any more."),
    "method-expired": Kind((409,), "The card has expired."),
    "method-in-use": Kind((409,), "A payment under way needs the method."),
    "method-not-for-currency": Kind(
        (422,), "The method can't pay in this currency; `methods` are the customer's that can.", ("currency", "methods")
    ),
    "method-not-saved": Kind((422,), "The method was to be used once."),
    "method-refused": Kind((422,), "The provider refuses the method."),
    "method-removed": Kind((409, 422), "The method was removed."),
    "method-unverified": Kind((409,), "The bank account is not verified."),
    "method-used": Kind((409,), "The method was for one payment, which it made."),
    "number-for-token": Kind((422,), "Card numbers are not taken: send the provider's token."),
    "setup-refused": Kind((422,), "The provider refuses to begin."),
    "surcharge-consent-missing": Kind((422,), "Autopay with this card needs consent to its surcharge."),
    "terms-not-accepted": Kind((422,), "The terms have to be accepted."),
    "unknown-method": Kind((422,), "The customer has no such method that can be used."),
    "verification-failed": Kind((409,), "The bank account can't be verified any more."),
    # Tickets.
    "dispute-decided": Kind((409,), "The dispute is decided or withdrawn already."),
    "nothing-to-credit": Kind((409,), "The invoice is void: accepting the dispute would credit nothing."),
    "credited-already": Kind((409,), "All of the invoice is credited already."),
    "lines-unknown": Kind((409,), "Single lines of this older invoice can't be disputed; all of it can."),
    "unknown-line": Kind((422,), "The invoice has no such line."),
    "line-not-disputable": Kind((422,), "The line is a discount, or credited already."),
    "more-than-line": Kind((422,), "More is disputed than the line comes to."),
    "dispute-undecided": Kind((409,), "The ticket's dispute is undecided: decide or withdraw it first."),
    "disputed-already": Kind((409,), "What is disputed is disputed already."),
    "line-twice": Kind((422,), "A line is named twice."),
    "more-than-invoiced": Kind((422,), "The lines sum to more than what is not credited of the invoice."),
    "not-disputable": Kind((409,), "Nothing of the invoice is owed."),
    "unknown-category": Kind((422,), "The company has no such category of disputes."),
    "reopened-too-late": Kind((409,), "The ticket ended more than 14 days ago: a reply opens one that follows it."),
    "ticket-ended": Kind((409,), "The ticket is solved or closed: reopen it first."),
    "unknown-person": Kind((422,), "None of the company's people has this id."),
    # Mails.
    "not-sent-again": Kind((409,), "The mail can't be sent again: its code or link, or its person, is gone."),
    # What goes back.
    "amount-not-refundable": Kind((422,), "The provider can't refund this amount."),
    "dispute-open": Kind((409,), "A chargeback of the payment is undecided."),
    "gone-back-already": Kind((409,), "Some of the receipt has gone back already."),
    "more-than-left": Kind((409, 422), "More than is left of the payment."),
    "not-a-receipt": Kind((409,), "Only a receipt can be voided."),
    "not-reconciled": Kind((409,), "The payment is not reconciled yet."),
    "nothing-left": Kind((409,), "All of the payment has gone back."),
    "paid-by-credit": Kind((409,), "Credit alone paid: there is no charge to refund."),
    "voided-already": Kind((409,), "The receipt was voided already."),
    # Bank files and exceptions.
    "agrees-already": Kind((409,), "The provider's record agrees: there is nothing to accept."),
    "already-resolved": Kind((409,), "Somebody resolved the exception already."),
    "bad-bank-file": Kind((422,), "The file can't be read; `errors` names the place."),
    "bad-signature": Kind((400,), "The webhook's signature is not the provider's."),
    "bank-file-being-taken": Kind((409,), "This file is being taken by another request."),
    "booked-in-future": Kind((409,), "The bank line is of a day to come."),
    "changed-meanwhile": Kind((409,), "It changed meanwhile: look again."),
    "customer-missing": Kind((422,), "Name the customer whose money it is."),
    "customer-twice": Kind((422,), "A customer is named twice."),
    "day-in-future": Kind((422,), "There is no report of a day to come."),
    "sort-needs-more": Kind((422,), "This order is of one customer's payments in one currency."),
    "days-out-of-order": Kind((422,), "The first day lies behind the last."),
    "holds-invoices": Kind((409,), "It holds invoices and can't be dismissed."),
    "known-at-in-future": Kind((422,), "Nothing is known of an instant to come."),
    "no-invoices": Kind((422,), "The proposal names no invoices that can be paid."),
    "no-money-there": Kind((409,), "The provider has taken no money."),
    "not-paid-out": Kind((409,), "The payout has not been paid."),
    "not-payable": Kind((409,), "An invoice can't take its part any more."),
    "not-the-amount": Kind((422,), "The shares do not sum to the line's amount."),
    "not-this-money": Kind((409,), "It can't be the money of this line."),
    "nothing-to-accept": Kind((422,), "The exception is about no charge that could be accepted."),
    "nothing-to-post": Kind((422,), "The line brings no money that could be posted."),
    "other-amount": Kind((422,), "The amounts differ."),
    "payment-twice": Kind((422,), "A receipt is named twice."),
    "providers-money": Kind((422,), "The money is a payout of the provider, no customer's."),
    "recorded-already": Kind((422,), "The money is recorded already: match it."),
    "unknown-payment": Kind((422,), "There is no such payment."),
    "unknown-payout": Kind((422,), "There is no such payout."),
    "unknown-proposal": Kind((422,), "The exception has no such proposal."),
}
