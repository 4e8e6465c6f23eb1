"""The committed OpenAPI document is the one that the services' code gives."""

import json
import pathlib
import runpy
from typing import Any

import pytest
from jsonschema import Draft202012Validator

ROOT = pathlib.Path(__file__).parents[3]


@pytest.fixture(scope="module")
def written() -> str:
    text: str = runpy.run_path(str(ROOT / "deploy" / "openapi.py"))["text"]()
    return text


def test_the_committed_document_is_current(written: str) -> None:
    assert (ROOT / "contracts" / "openapi.json").read_text() == written, "run `make schemas`"


DOCUMENT = json.loads((ROOT / "contracts" / "openapi.json").read_text())
OPERATIONS = [
    pytest.param(path, operation, id=operation["operationId"])
    for path, item in DOCUMENT["paths"].items()
    for operation in item.values()
]
SCHEMAS = DOCUMENT["components"]["schemas"]
WITHOUT_KEY = {
    "ask_for_a_code", "ask_for_a_code_by_link", "confirm_registration", "forget_password", "open_payer_link",
    "read_look", "register", "reset_password", "sign_in_by_code", "sign_in_by_password", "take_webhook",
    "ask_unsubscribe", "unsubscribe", "download_file",
}  # fmt: skip


class TestDocument:
    @pytest.mark.parametrize("name", SCHEMAS)
    def test_every_field_is_described(self, name: str) -> None:
        fields = SCHEMAS[name].get("properties", {})
        assert [field for field, schema in fields.items() if not schema.get("description")] == []

    def test_titles_are_unique(self) -> None:
        assert {name: schema["title"] for name, schema in SCHEMAS.items()} == {name: name for name in SCHEMAS}

    @pytest.mark.parametrize(("path", "operation"), OPERATIONS)
    def test_operations_say_all(self, path: str, operation: dict[str, Any]) -> None:
        assert operation["tags"][0] in {tag["name"] for tag in DOCUMENT["tags"]}
        assert [one["name"] for one in operation.get("parameters", []) if not one.get("description")] == []
        scopes = [scope for each in operation.get("security", []) for found in each.values() for scope in found]
        assert scopes or operation["operationId"] in WITHOUT_KEY
        body = operation.get("requestBody", {}).get("content", {}).get("application/json")
        assert body is None or "example" in body

    @pytest.mark.parametrize(("path", "operation"), OPERATIONS)
    def test_examples_fit_their_schemas(self, path: str, operation: dict[str, Any]) -> None:
        body = operation.get("requestBody", {}).get("content", {}).get("application/json")
        if body is not None:
            whole = body["schema"] | {"components": DOCUMENT["components"]}
            Draft202012Validator(whole).validate(body["example"])

    def test_conflicts_carry_typed_members(self) -> None:
        answer = DOCUMENT["components"]["responses"]["Problem409"]["content"]["application/problem+json"]
        fields = SCHEMAS[answer["schema"]["$ref"].rsplit("/", 1)[1]]["properties"]
        assert fields["new_quote"]["anyOf"][0] == {"$ref": "#/components/schemas/QuoteView"}

    def test_ids_and_integers_have_formats(self) -> None:
        assert SCHEMAS["PaymentView"]["properties"]["id"]["format"] == "uuid"
        assert SCHEMAS["PaymentView"]["properties"]["amount_minor"]["format"] == "int64"
        assert "format" not in SCHEMAS["PaymentView"]["properties"]["provider_id"]["anyOf"][0]
