"""What of a customer's payments may need its attention."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime

from chassis.db.reads import Reads
from payments.collecting.domain.payments import Payment, Reversal
from payments.collecting.store.payments import PAYMENT, payment_of
from payments.collecting.store.reversals import REVERSAL, reversal_of

MOST = 20
# Two indexes, so two parts: payments that wait for their payer, and payments that are not confirmed in time.
UNCONFIRMED = f"""
(SELECT {PAYMENT} FROM payments WHERE customer_id = $1 AND status = 'requires_action' AND act_by IS NOT NULL
    ORDER BY created_at DESC, id DESC LIMIT {MOST})
UNION ALL
(SELECT {PAYMENT} FROM payments WHERE customer_id = $1 AND reconciliation IN ('waiting', 'mismatch', 'exception')
    AND expected_by < $2 AND status <> 'requires_action' ORDER BY expected_by DESC LIMIT {MOST})
"""  # noqa: S608
TAKEN_BACK = f"""
SELECT {REVERSAL} FROM reversals WHERE customer_id = $1 AND kind IN ('return', 'chargeback') AND created_at >= $2
    AND state IN ('open', 'succeeded') ORDER BY created_at DESC LIMIT {MOST}
"""  # noqa: S608


async def load_unconfirmed(connection: Reads, customer_id: str, today: date) -> list[Payment]:
    """Payments that wait for their payer at the bank, then those that were to be confirmed before today."""
    return [payment_of(row) for row in await connection.fetch(UNCONFIRMED, customer_id, today)]


async def load_taken_back(connection: Reads, customer_id: str, since: datetime) -> list[Reversal]:
    """Returns and chargebacks since then, the newest first."""
    return [reversal_of(row) for row in await connection.fetch(TAKEN_BACK, customer_id, since)]


async def load_numbers(connection: Reads, payments: Sequence[Payment]) -> dict[str, str]:
    """The numbers of the invoices that these payments were for, by id."""
    ids = sorted({part.invoice_id for each in payments for part in each.asked})
    sql = "SELECT id, number FROM invoices WHERE id = ANY($1::uuid[])"
    return {row["id"]: row["number"] for row in await connection.fetch(sql, ids)} if ids else {}
