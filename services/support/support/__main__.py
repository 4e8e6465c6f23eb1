"""`python -m support`"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from chassis.files.keeping import SWEEP, Files
from chassis.sealing import Sealer
from chassis.service import Service
from support.api import router
from support.checks import CHECKS
from support.handlers import handlers
from support.jobs import JOBS, QUEUES
from support.mails.domain.addresses import Addresses
from support.mails.listening import listen_for_replies
from support.own import Own
from support.settings import Settings


@asynccontextmanager
async def resources(settings: Settings) -> AsyncIterator[Own]:
    secret = settings.mail_secret.get_secret_value().encode()
    addresses = Addresses(settings.mail_domain, secret) if settings.mail_domain else None
    yield Own(Sealer(settings.notify_keys), Files.of(settings), addresses)


service = Service(
    name="support",
    settings=Settings,
    router=router,
    handlers=(handlers,),
    jobs=(SWEEP, *JOBS),
    beside={"replies by mail": listen_for_replies},
    queues=QUEUES,
    resources=resources,
    checks=CHECKS,
    sequence_of="SELECT sequence FROM tickets WHERE id = $1 UNION ALL SELECT sequence FROM disputes WHERE id = $1",
    sequence_of_customers=(
        "SELECT sequence FROM tickets WHERE id = $1 AND customer_id::text = $2"
        " UNION ALL SELECT sequence FROM disputes WHERE id = $1 AND customer_id::text = $2"
    ),
)

if __name__ == "__main__":
    service.main()
