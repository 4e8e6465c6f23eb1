"""Auth over HTTP, by context."""

from fastapi import APIRouter

from auth import tokens
from auth.company import api as company
from auth.keys import api as keys
from auth.links import api as links
from auth.people import api as people
from auth.signin.api import codes, passwords, sessions
from auth.visits import api as visits
from chassis.http import set_aside

router = APIRouter()
router.routes.extend(set_aside.router_of("auth").routes)
for part in (keys, codes, passwords, sessions, people, links, visits, company, tokens):
    router.routes.extend(part.router.routes)
