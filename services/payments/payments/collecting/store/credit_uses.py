"""Which receipt's credit paid for which payment."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from chassis.messaging.work import Work
from payments.collecting.domain.credit_uses import CreditUse

USES = """
SELECT receipt_id, place, invoice_id, payment_id, amount, gone FROM credit_uses
WHERE receipt_id = ANY($1::uuid[]) AND gone < amount
"""


async def load_credit_uses(work: Work, receipt_ids: Iterable[str]) -> list[CreditUse]:
    """Load the uses of receipts' credit that still pay. Locks the receipts' rows, so that the uses don't change."""
    ids = sorted(set(receipt_ids))
    return [CreditUse(*row) for row in await work.connection.fetch(USES, ids)] if ids else []


# Payments are locked in order, because other receipts' credit may have paid for the same ones.
SAVE_USES = """
WITH kept AS (
    INSERT INTO credit_uses AS u (receipt_id, place, invoice_id, payment_id, amount, gone)
    SELECT * FROM unnest($1::uuid[], $2::bigint[], $3::uuid[], $4::uuid[], $5::bigint[], $6::bigint[])
    ON CONFLICT (receipt_id, place, invoice_id) DO UPDATE SET gone = excluded.gone
), used AS (
    SELECT id FROM payments WHERE id = ANY($7::uuid[]) ORDER BY id FOR NO KEY UPDATE
)
UPDATE payments p SET
    credit_gone_invoices = credit_gone_invoices || ARRAY(SELECT g.invoice_id FROM unnest($7::uuid[], $8::uuid[])
        WITH ORDINALITY AS g (payment_id, invoice_id, place) WHERE g.payment_id = p.id ORDER BY place),
    credit_gone_amounts = credit_gone_amounts || ARRAY(SELECT g.minor FROM unnest($7::uuid[], $9::bigint[])
        WITH ORDINALITY AS g (payment_id, minor, place) WHERE g.payment_id = p.id ORDER BY place)
FROM used WHERE p.id = used.id
"""


async def save_credit_uses(work: Work, before: Sequence[CreditUse], after: Sequence[CreditUse]) -> None:
    """Save new uses, and uses of which more went back than `before`; add that amount to the payments that used it."""
    known = {(use.receipt_id, use.place, use.invoice_id): use.gone for use in before}
    grown = [(use, use.gone - known.get((use.receipt_id, use.place, use.invoice_id), 0)) for use in after]
    gone = [(use.payment_id, use.invoice_id, minor) for use, minor in grown if minor]
    await work.connection.execute(
        SAVE_USES,
        [use.receipt_id for use in after], [use.place for use in after], [use.invoice_id for use in after],
        [use.payment_id for use in after], [use.amount for use in after], [use.gone for use in after],
        [payment_id for payment_id, _, _ in gone], [invoice_id for _, invoice_id, _ in gone],
        [minor for _, _, minor in gone],
    )  # fmt: skip
