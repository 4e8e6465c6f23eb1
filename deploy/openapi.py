"""Write contracts/openapi.json, the public API, from the routers of the services: `python deploy/openapi.py`."""

import json
import pathlib
from typing import Any

from fastapi import APIRouter, FastAPI

import auth.api
import invoicing.api
import payments.api
from gateway.openapi import merge

FILE = pathlib.Path(__file__).parents[1] / "contracts" / "openapi.json"
ROUTERS = {"auth": auth.api.router, "invoicing": invoicing.api.router, "payments": payments.api.router}


def document_of(name: str, router: APIRouter) -> dict[str, Any]:
    app = FastAPI(title=name, generate_unique_id_function=lambda route: route.name)
    app.include_router(router)
    return app.openapi()


def text() -> str:
    """The document as it is committed."""
    merged = merge({name: document_of(name, router) for name, router in ROUTERS.items()})
    return json.dumps(merged, indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    FILE.write_text(text())
