"""`python -m invoicing`"""

from pathlib import Path

from chassis.service import Service
from invoicing.api import router
from invoicing.checks import CHECKS
from invoicing.handlers import commands, handlers
from invoicing.settings import Settings

service = Service(
    name="invoicing",
    settings=Settings,
    router=router,
    handlers=(handlers, commands),
    migrations=Path(__file__).parents[1] / "migrations",
    checks=CHECKS,
)

if __name__ == "__main__":
    service.main()
