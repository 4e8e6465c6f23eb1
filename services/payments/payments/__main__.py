"""`python -m payments`"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from chassis.service import Service
from payments.api import router
from payments.bank_runs import LARGEST_FILE
from payments.checks import CHECKS
from payments.handlers import handlers
from payments.jobs import JOBS
from payments.providers.stripe_adapter import StripeAdapter
from payments.settings import Settings


@asynccontextmanager
async def resources(settings: Settings) -> AsyncIterator[dict[str, Any]]:
    provider = StripeAdapter(
        url=settings.provider_url,
        key=settings.provider_key.get_secret_value(),
        webhook_secret=settings.webhook_secret.get_secret_value(),
    )
    try:
        yield {"provider": provider}
    finally:
        await provider.close()


service = Service(
    name="payments",
    settings=Settings,
    router=router,
    handlers=(handlers,),
    jobs=JOBS,
    resources=resources,
    migrations=Path(__file__).parents[1] / "migrations",
    checks=CHECKS,
    larger_bodies={"/v1/bank-statements": LARGEST_FILE},
    kept_routes=("POST /v1/payments/offline",),  # an import that runs again years later books nothing twice
    sequence_of="SELECT sequence FROM payments WHERE id = $1 UNION ALL SELECT 1 FROM methods WHERE id = $1",
)

if __name__ == "__main__":
    service.main()
