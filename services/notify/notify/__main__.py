"""`python -m notify`"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from chassis.service import Service
from notify.api import router
from notify.checks import CHECKS
from notify.handlers import handlers
from notify.jobs import JOBS, QUEUES
from notify.own import Own
from notify.rendering.texts import Texts
from notify.sealed import Opener
from notify.settings import Settings
from notify.smtp import Outgoing


@asynccontextmanager
async def resources(settings: Settings) -> AsyncIterator[Own]:
    outgoing = Outgoing(settings)
    try:
        rooms = (asyncio.Semaphore(settings.connections), asyncio.Semaphore(settings.connections))
        yield Own(Opener(settings.private_key), outgoing, Texts.load(), *rooms)
    finally:
        outgoing.close()


service = Service(
    name="notify",
    settings=Settings,
    router=router,
    handlers=(handlers,),
    jobs=JOBS,
    queues=QUEUES,
    resources=resources,
    checks=CHECKS,
)

if __name__ == "__main__":
    service.main()
