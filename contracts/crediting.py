"""How a credit note is shared: what its invoice takes, and what becomes the customer's credit.

Support shows it before a dispute is accepted; invoicing decides with it.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Crediting:
    """Minor units. `waits`: money under way may pay what was disputed, so nothing is credited before that ends."""

    applied: int
    credit: int
    waits: bool = False


def share_credit(amount: int, *, payable_now: int, pending: int) -> Crediting:
    """Share `amount` minor units: at most what is payable now pays the invoice, the rest is the customer's credit.

    >>> share_credit(300, payable_now=200, pending=0)
    Crediting(applied=200, credit=100, waits=False)
    >>> share_credit(300, payable_now=200, pending=100)
    Crediting(applied=0, credit=0, waits=True)
    """
    if pending and amount > payable_now:
        return Crediting(0, 0, waits=True)
    applied = min(amount, payable_now)
    return Crediting(applied, amount - applied)
