"""`python -m invoicing`"""

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
    checks=CHECKS,
    sequence_of=(
        "SELECT sequence FROM invoices WHERE id = $1 UNION ALL SELECT sequence FROM customers WHERE id = $1"
        " UNION ALL SELECT sequence FROM credits WHERE id = $1"
    ),
    sequence_of_customers=(
        "SELECT sequence FROM invoices WHERE id = $1 AND customer_id::text = $2"
        " UNION ALL SELECT sequence FROM customers WHERE id = $1 AND id::text = $2"
        " UNION ALL SELECT sequence FROM credits WHERE id = $1 AND customer_id::text = $2"
    ),
)

if __name__ == "__main__":
    service.main()
