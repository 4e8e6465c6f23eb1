"""Write contracts/openapi.json, the public API, from the routers of the services: `python deploy/openapi.py`."""

import importlib
import json
import pathlib
from typing import Any

from fastapi import APIRouter, FastAPI
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute

from chassis.http.bodies import answered_anew
from chassis.http.idempotency import required_key
from chassis.http.identity import Guard
from contracts.services import SERVICES
from gateway.openapi import ONCE, SCOPES, merge

FILE = pathlib.Path(__file__).parents[1] / "contracts" / "openapi.json"
ROUTERS = {one.name: importlib.import_module(f"{one.name}.api").router for one in SERVICES if one.paths}


def document_of(name: str, router: APIRouter) -> dict[str, Any]:
    app = FastAPI(title=name, generate_unique_id_function=lambda route: route.name)
    app.include_router(router)
    document = app.openapi()
    for route in (one for one in router.routes if isinstance(one, APIRoute)):
        for method in route.methods if route.include_in_schema else ():
            operation = document["paths"][route.path][method.lower()]
            operation[SCOPES] = scopes_of(route.dependant)
            calls = calls_of(route.dependant)
            if method == "POST" and operation[SCOPES] and not route.openapi_extra and answered_anew not in calls:
                operation[ONCE] = required_key in calls
    return document


def calls_of(dependant: Dependant) -> list[Any]:
    """What a route's dependencies call."""
    return [dependant.call, *(call for part in dependant.dependencies for call in calls_of(part))]


def scopes_of(dependant: Dependant) -> list[str]:
    """The scopes that the guards of a route ask for."""
    return [call.scope for call in calls_of(dependant) if isinstance(call, Guard)]


def text() -> str:
    """The document as it is committed."""
    merged = merge({name: document_of(name, router) for name, router in ROUTERS.items()})
    return json.dumps(merged, indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    FILE.write_text(text())
