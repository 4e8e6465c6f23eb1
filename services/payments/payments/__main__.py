"""`python -m payments`"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime

from chassis.db.pool import open_pool
from chassis.service import Service
from payments.api import router
from payments.checks import CHECKS
from payments.collecting.data_files import read_surcharge_rules
from payments.collecting.domain.surcharges import SurchargeRule
from payments.collecting.store.surcharges import load_rules, take_rules
from payments.handlers import handlers
from payments.jobs import JOBS, QUEUES
from payments.own import Own
from payments.providers.stripe_adapter import StripeAdapter
from payments.settings import Settings


async def surcharge_rules(settings: Settings) -> tuple[SurchargeRule, ...]:
    """Load the surcharge rules, after saving the file's edition if it is new. Rules change only at a start."""
    file = read_surcharge_rules(settings.surcharge_rules)
    pool = await open_pool(settings.work_url or settings.api_url, size=1, application="payments-rules")
    try:
        async with pool.acquire() as connection:
            await take_rules(connection, file.edition, file.digest, file.rules, datetime.now(UTC))
            return await load_rules(connection)
    finally:
        await pool.close()


@asynccontextmanager
async def resources(settings: Settings) -> AsyncIterator[Own]:
    provider = StripeAdapter(
        url=settings.provider_url,
        key=settings.provider_key.get_secret_value(),
        webhook_secret=settings.webhook_secret.get_secret_value(),
    )
    try:
        yield Own(provider, await surcharge_rules(settings))
    finally:
        await provider.close()


service = Service(
    name="payments",
    settings=Settings,
    router=router,
    handlers=(handlers,),
    jobs=JOBS,
    queues=QUEUES,
    resources=resources,
    checks=CHECKS,
    kept_routes=("POST /v1/payments/offline",),  # so that an import that runs again years later books nothing twice
    sequence_of="SELECT sequence FROM payments WHERE id = $1 UNION ALL SELECT sequence FROM methods WHERE id = $1",
    sequence_of_customers=(
        "SELECT sequence FROM payments WHERE id = $1 AND customer_id::text = $2"
        " UNION ALL SELECT sequence FROM methods WHERE id = $1 AND customer_id::text = $2"
    ),
)

if __name__ == "__main__":
    service.main()
