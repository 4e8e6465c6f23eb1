"""Every answer is as contracts/openapi.json says, whatever is sent."""

import hashlib
import json
import pathlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
import pytest_asyncio
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, settings
from requests.adapters import HTTPAdapter
from schemathesis.specs.openapi.checks import positive_data_acceptance

from tests.kit.client import Client
from tests.kit.stack import LocalStack

DOCUMENT = json.loads((pathlib.Path(__file__).parents[2] / "contracts" / "openapi.json").read_text())
schema = schemathesis.openapi.from_dict(DOCUMENT)
schema.config.generation.update(allow_extra_parameters=False)  # an unknown header is ignored

SEEN = re.compile("[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}:[0-9]{1,18}")
OF_HTTP = {"content-type", "content-length", "date", "server", "connection", "x-content-type-options", "cache-control",
           "set-cookie"}  # fmt: skip


@dataclass
class World:
    """A stack with something in it, so that ids can be known ones."""

    url: str
    key: str
    known: dict[str, str]


@pytest_asyncio.fixture(scope="session")
async def world(stack: LocalStack) -> World:
    async with Client(stack.url, stack.api_key) as client:
        customer = await client.customer()
        invoice, method = await client.invoice(customer), await client.method(customer)
        known = {"customer_id": customer, "invoice_id": invoice, "method_id": method}
        known["quote_id"] = (await client.quote(customer, method, (invoice, 1_000)))["id"]
        known["Paidup-Seen"] = f"{invoice}:1"
        known["payment_id"] = (await client.receive(customer, 100, invoice))["id"]
        return World(stack.url, stack.api_key, known)


class Elsewhere(HTTPAdapter):
    """Asks from a network of its own: the wrong guesses sent here are counted against that network alone."""

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs, source_address=("127.0.0.99", 0))


@pytest.fixture(scope="session")
def elsewhere() -> Iterator[requests.Session]:
    with requests.Session() as session:
        session.mount("http://", Elsewhere())
        yield session


@schema.exclude(path="/v1/events/stream").parametrize()
@settings(
    max_examples=15, derandomize=True, database=None, deadline=None, phases=(Phase.explicit, Phase.generate),
    suppress_health_check=list(HealthCheck),
)  # fmt: skip
def test_every_answer_is_in_the_document(case: schemathesis.Case, world: World, elsewhere: requests.Session) -> None:
    if case.meta is not None and case.meta.generation.mode.is_positive and _heads(case):
        case.path_parameters = {name: world.known.get(name, value) for name, value in case.path_parameters.items()}
        case.body = _known(case.body, world.known)
    if SEEN.fullmatch(str(case.headers.get("Paidup-Seen"))):  # else each would wait two seconds in vain
        case.headers["Paidup-Seen"] = world.known["Paidup-Seen"]
    response = case.call_and_validate(
        base_url=world.url,
        session=elsewhere,
        headers={"Authorization": f"Bearer {world.key}"},
        excluded_checks=[positive_data_acceptance],  # not all that is refused can be said in a schema
    )
    declared = _declared_headers(
        DOCUMENT["paths"][case.operation.path][case.operation.method], str(response.status_code)
    )
    assert {name for name in response.headers if name not in OF_HTTP} <= declared


def _heads(case: schemathesis.Case) -> bool:
    """Every other case, the same ones each time."""
    return hashlib.sha256(repr((case.path, case.path_parameters, case.body)).encode()).digest()[0] % 2 == 0


def _known(body: Any, known: dict[str, str]) -> Any:
    """The body with ids of what there is."""
    if isinstance(body, list):
        return [_known(one, known) for one in body]
    if isinstance(body, dict):
        return {name: known[name] if name in known else _known(value, known) for name, value in body.items()}
    return body


def _declared_headers(operation: dict[str, Any], status: str) -> set[str]:
    if status == "405":  # of another method than the operation's
        return {"x-request-id", "allow"}
    answer = operation["responses"][status]
    if "$ref" in answer:
        answer = DOCUMENT["components"]["responses"][answer["$ref"].rsplit("/", 1)[1]]
    return {name.lower() for name in answer["headers"]}
