"""Support over HTTP: the routes of its contexts."""

from fastapi import APIRouter

from chassis.http import set_aside
from chassis.http.bodies import StrictRoute
from support.disputes import api as disputes
from support.files import api as files
from support.saved_replies import api as saved_replies
from support.tickets import api as tickets

router = APIRouter(route_class=StrictRoute)
router.routes.extend(set_aside.router_of("support").routes)
for part in (tickets, disputes, files, saved_replies):
    router.routes.extend(part.router.routes)
