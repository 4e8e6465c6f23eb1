"""The HTTP side of a service: problems, identities, bounds, ids, metrics, logs."""

import io
import json
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import httpx2
import pytest
import structlog
from fastapi import APIRouter, FastAPI, Request
from joserfc import jwt
from joserfc.jwk import OKPKey
from pydantic import BaseModel, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from chassis import logs, telemetry
from chassis.http.app import create_app
from chassis.http.bodies import read_json
from chassis.http.idempotency import Key, replay, required_key
from chassis.http.identity import Identity, TokenSigner, TokenVerifier, allow
from chassis.http.limits import Limits
from chassis.http.problems import Problem, conflict, not_found, refused
from contracts.strict_json import NotJsonError, TooManyError, read_strict
from tests.kit.serving import write_keys

ERP = Identity("key-1", "system", frozenset({"invoices:read"}))


class Line(BaseModel):
    quantity: int


class Body(BaseModel):
    model_config = ConfigDict(extra="forbid")

    name: str
    lines: list[Line] = []
    first: Line | None = None
    currency: Annotated[str | None, Field(pattern="^[A-Z]{3}$")] = None
    code: Annotated[str | None, Field(pattern="^x?y+$")] = None
    some: Annotated[list[int] | None, Field(min_length=2)] = None
    most: Annotated[int | None, Field(le=7)] = None
    by_name: dict[str, int] = {}
    sure: Literal[True] = True
    kind: Literal["a", "b"] = "a"
    until: int | None = None

    @model_validator(mode="after")
    def in_order(self) -> Self:
        if self.until is not None and self.most is not None and self.until < self.most:
            raise PydanticCustomError("too-early", "lies before most", {"field": "until"})
        return self


router = APIRouter(prefix="/v1/things")


@router.post("")
async def create(body: Body) -> dict[str, Any]:
    return {"name": body.name}


@router.get("/{thing_id}")
async def show(thing_id: str, who: Annotated[Identity, allow("invoices:read")]) -> dict[str, Any]:
    if thing_id == "missing":
        raise not_found("thing", thing_id)
    return {"id": thing_id, "subject": who.subject, "customer_id": who.customer_id}


@router.post("/{thing_id}/files")
async def keep(thing_id: str, request: Request) -> dict[str, int]:
    return {"bytes": len(await request.body())}


@router.put("/{thing_id}")
async def change(thing_id: str) -> None:
    match thing_id:
        case "stale":
            raise conflict("stale-quote", "It changed.", new_quote={"id": "q2"})
        case "wrong":
            raise refused("The currency differs.", field="invoices.0.currency")
        case _:
            raise RuntimeError("secret internals")


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("keys")
    write_keys(folder, "k1")
    return folder


@pytest.fixture
async def client(keys: Path) -> AsyncIterator[httpx2.AsyncClient]:
    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield

    async def ready() -> dict[str, bool]:
        return {"database": True, "kafka": False}

    app = create_app(
        title="things", version="1", routers=[router], audience="things", public_keys=keys / "public.json",
        lifespan=lifespan, ready=ready, limits=Limits({"POST /v1/things/{id}/files": 3000}, most=1000),
    )  # fmt: skip
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url="http://things") as client:
        yield client


def problem_of(response: httpx2.Response, status: int, slug: str) -> dict[str, Any]:
    assert response.status_code == status
    assert response.headers["content-type"] == "application/problem+json"
    body: dict[str, Any] = response.json()
    assert body["type"] == f"urn:paidup:problem:{slug}"
    assert body["status"] == status
    assert body["request_id"] == response.headers["x-request-id"]
    return body


class TestProblems:
    async def test_extra_members_stand_beside_the_standard_ones(self, client: httpx2.AsyncClient) -> None:
        body = problem_of(await client.put("/v1/things/stale"), 409, "stale-quote")
        assert body["new_quote"] == {"id": "q2"}

    async def test_refused_field_is_named(self, client: httpx2.AsyncClient) -> None:
        body = problem_of(await client.put("/v1/things/wrong"), 422, "invalid-request")
        assert body["errors"] == [{"field": "invoices.0.currency", "message": "The currency differs."}]

    async def test_unhandled_error_shows_no_internals(self, client: httpx2.AsyncClient) -> None:
        answer = await client.put("/v1/things/boom")
        problem_of(answer, 500, "internal-error")
        assert "secret" not in answer.text

    async def test_unknown_paths_and_wrong_methods_are_problems(self, client: httpx2.AsyncClient) -> None:
        problem_of(await client.get("/v2"), 404, "not-found")
        for method in ("DELETE", "OPTIONS"):
            answer = await client.request(method, "/v1/things/1")
            problem_of(answer, 405, "method-not-allowed")
            assert answer.headers["allow"] == "GET, PUT"
            assert answer.json()["detail"] == "The methods of this path are: GET, PUT."


class TestTokens:
    async def test_signers_token_opens_the_route(self, client: httpx2.AsyncClient, keys: Path) -> None:
        token, _ = TokenSigner(keys / "private.json").sign(
            Identity("k", "system", frozenset({"*"}), "cust-1"), "things"
        )
        answer = await client.get("/v1/things/7", headers={"Authorization": f"Bearer {token}"})
        assert answer.json() == {"id": "7", "subject": "k", "customer_id": "cust-1"}

    async def test_wrong_audience_and_scope_are_refused(self, client: httpx2.AsyncClient, keys: Path) -> None:
        signer = TokenSigner(keys / "private.json")
        answer = await client.get("/v1/things/7")
        problem_of(answer, 401, "unauthenticated")
        assert answer.headers["www-authenticate"] == "Bearer"
        other, _ = signer.sign(ERP, "payments")
        problem_of(
            await client.get("/v1/things/7", headers={"Authorization": f"Bearer {other}"}), 401, "unauthenticated"
        )
        narrow, _ = signer.sign(Identity("k", "system", frozenset({"keys:write"})), "things")
        problem_of(
            await client.get("/v1/things/7", headers={"Authorization": f"Bearer {narrow}"}), 403, "scope-missing"
        )

    def test_expired_foreign_and_broken_are_refused(self, keys: Path) -> None:
        verifier = TokenVerifier(keys / "public.json", "things")
        signer = TokenSigner(keys / "private.json")
        stranger = OKPKey.generate_key("Ed25519", {"kid": "k1"}, private=True)
        claims = {"iss": "paidup-auth", "aud": "things", "sub": "x", "kind": "system", "exp": int(time.time()) + 60}
        foreign = jwt.encode({"alg": "Ed25519", "kid": "k1"}, claims, stranger, algorithms=["Ed25519"])
        expired, _ = signer.sign(ERP, "things", seconds=-1)
        for token in (foreign, expired, "", "a.b.c", "eyJhbGciOiJub25lIn0.e30.", "é"):
            with pytest.raises(Problem):
                verifier.verify(token)

    def test_kept_one_ends_with_its_time(self, keys: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        verifier = TokenVerifier(keys / "public.json", "things")
        token, ends = TokenSigner(keys / "private.json").sign(ERP, "things")
        assert ends - time.time() <= 60
        assert verifier.verify(token) == ERP
        assert verifier.verify(token) == ERP
        monkeypatch.setattr(time, "time", lambda: ends)
        with pytest.raises(Problem, match="expired"):
            verifier.verify(token)

    def test_keys_are_read_again_when_changed(self, tmp_path: Path) -> None:
        write_keys(tmp_path, "old")
        verifier = TokenVerifier(tmp_path / "public.json", "things")
        old, _ = TokenSigner(tmp_path / "private.json").sign(ERP, "things")
        write_keys(tmp_path, "new")
        new, _ = TokenSigner(tmp_path / "private.json").sign(ERP, "things")
        assert verifier.verify(new) == ERP
        with pytest.raises(Problem):
            verifier.verify(old)


@pytest.fixture
def log_lines(monkeypatch: pytest.MonkeyPatch) -> Iterator[io.StringIO]:
    out = io.StringIO()
    monkeypatch.setattr("sys.stdout", out)
    before = structlog.get_config()
    logs.configure("info")
    yield out
    structlog.configure(**before)


class TestObserving:
    async def test_harmless_request_id_is_kept(self, client: httpx2.AsyncClient) -> None:
        kept = await client.get("/healthz", headers={"X-Request-Id": "abc-1"})
        assert kept.headers["x-request-id"] == "abc-1"
        made = await client.get("/healthz", headers={"X-Request-Id": 'a" b'})
        assert len(made.headers["x-request-id"]) == 36

    async def test_readiness_is_503_until_every_part_is_there(self, client: httpx2.AsyncClient) -> None:
        answer = await client.get("/readyz")
        assert answer.status_code == 503
        assert answer.json()["parts"] == {"database": True, "kafka": False}

    async def test_metrics_count_by_route_not_by_path(self, client: httpx2.AsyncClient) -> None:
        await client.put("/v1/things/wrong")
        text = (await client.get("/metrics")).text
        assert 'paidup_http_requests_total{method="PUT",route="/v1/things/{thing_id}",status="422"}' in text

    def test_logs_hide_secrets_and_addresses(self, log_lines: io.StringIO) -> None:
        structlog.get_logger().info(
            "made pk_abcdefghijklmnop, paidup_sk_abcdefghijklmnop for ann@example.com", password="x", url="postgresql://auth:pw@127.0.0.1/auth",
            nested={"api_key": "k", "note": "Bearer eyJhbGciOi.eyJzdWIi.sig"}, count=3,
        )  # fmt: skip
        text = log_lines.getvalue()
        line = json.loads(text)
        assert line["count"] == 3
        assert line["password"] == line["nested"]["api_key"] == "[hidden]"
        for secret in ("abcdefgh", "ann@", "pw@", "eyJ"):
            assert secret not in text

    async def test_callers_trace_is_passed_on(self, client: httpx2.AsyncClient) -> None:
        from opentelemetry.sdk.trace.export import SimpleSpanProcessor
        from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

        spans = InMemorySpanExporter()
        telemetry.setup("things", None, processor=SimpleSpanProcessor(spans))
        try:
            parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
            await client.put("/v1/things/wrong", headers={"traceparent": parent})
            with telemetry.record_span("process t", [("traceparent", parent.encode())], topic="t"):
                assert (telemetry.traceparent() or "").startswith("00-4bf92f3577b34da6a3ce929d0e0e4736-")
            request, record = spans.get_finished_spans()
            assert request.name == "PUT /v1/things/{thing_id}"
            assert {span.context.trace_id for span in (request, record)} == {0x4BF92F3577B34DA6A3CE929D0E0E4736}
        finally:
            telemetry.setup("things", None)
        assert telemetry.traceparent() is None


class TestInvalidBody:
    async def test_fields_are_named_by_their_dotted_path(self, client: httpx2.AsyncClient) -> None:
        answer = await client.post("/v1/things", json={"lines": [{"quantity": "x"}], "nmae": "a"})
        errors = problem_of(answer, 422, "invalid-request")["errors"]
        assert {error["field"] for error in errors} == {"name", "lines.0.quantity", "nmae"}
        assert all(error["code"] and isinstance(error["values"], dict) for error in errors)

    @pytest.mark.parametrize(
        ("wish", "field", "says"),
        [
            ({"currency": "usd"}, "currency", "must be three capital letters, as USD"),
            ({"code": "z"}, "code", "is not written in the form that is expected here"),
            ({"some": [1]}, "some", "must hold at least 2"),
            ({"most": 8}, "most", "must be at most 7"),
            ({"sure": False}, "sure", "must be true"),
            ({"kind": "c"}, "kind", "must be one of 'a' or 'b'"),
            ({"most": "x"}, "most", "must be a whole number"),
            ({"first": 7}, "first", "must be an object: {…}"),
            ({"by_name": []}, "by_name", "must be an object: {…}"),
            ({"lines": {}}, "lines", "must be a list: […]"),
            ({"more": 1}, "more", "there is no such field here"),
            ({"until": 1, "most": 2}, "until", "lies before most"),
        ],
    )
    async def test_faults_are_explained_in_words(
        self, client: httpx2.AsyncClient, wish: dict[str, Any], field: str, says: str
    ) -> None:
        answer = await client.post("/v1/things", json={"name": "a", **wish})
        assert (
            problem_of(answer, 422, "invalid-request")["errors"][0].items() >= {"field": field, "message": says}.items()
        )

    @pytest.mark.parametrize("body", [b"{", b"", b"\xff\xfe", b"[" * 900, b'{"name": NaN}'])
    async def test_body_without_json_is_refused(self, client: httpx2.AsyncClient, body: bytes) -> None:
        answer = await client.post("/v1/things", content=body, headers={"content-type": "application/json"})
        assert answer.status_code in (400, 422)
        assert answer.json()["type"].startswith("urn:paidup:problem:")

    async def test_malformed_json_is_400_with_its_place(self, client: httpx2.AsyncClient) -> None:
        answer = await client.post("/v1/things", content=b'{"name": }', headers={"content-type": "application/json"})
        assert problem_of(answer, 400, "malformed-json")["detail"]

    def test_repeated_member_is_found_at_once(self) -> None:
        members = ",".join(f'"m{n:06}": 1' for n in range(50_000))
        begun = time.process_time()
        with pytest.raises(Problem, match="'again' stands twice"):
            read_json(f'{{{members}, "again": 1, "again": 2}}'.encode())
        assert time.process_time() - begun < 5  # compared each with each: minutes, in which the service answers nobody

    async def test_long_bodies_are_refused(self, client: httpx2.AsyncClient) -> None:
        async def chunks() -> AsyncIterator[bytes]:
            for _ in range(11):
                yield b"x" * 100

        json_type = {"content-type": "application/json"}
        problem_of(await client.post("/v1/things", content=b"x" * 1001, headers=json_type), 413, "body-too-large")
        problem_of(await client.post("/v1/things", content=chunks(), headers=json_type), 413, "body-too-large")

    def test_numbers_are_exact_and_bounded(self) -> None:
        assert read_strict(b'[0.1, 1.000000000000000000001, 1e3, 7]') == [
            Decimal("0.1"), Decimal("1.000000000000000000001"), Decimal(1000), 7,
        ]  # fmt: skip
        for wrong in (b"1e999999999", b"1e-999999999", b"1e99999999999999999999", b"0." + b"1" * 100, b"-Infinity"):
            with pytest.raises(NotJsonError, match="number"):
                read_strict(wrong)


async def test_idempotency_answers_fit_every_route() -> None:
    with pytest.raises(Problem) as missing:
        await required_key(None)
    with pytest.raises(Problem) as reused:
        replay({"fingerprint": b"1"}, Key("customer", "POST /v1/things", "key", b"2"))
    said = [problem.value.detail for problem in (missing, reused)]
    assert ["new request" in each and "payment" not in each for each in said] == [True, True]


class TestLimits:
    async def test_one_path_and_method_takes_more(self, client: httpx2.AsyncClient) -> None:
        answer = await client.post("/v1/things/7/files", content=b"x" * 2000)
        assert (answer.status_code, answer.json()) == (200, {"bytes": 2000})

    async def test_more_than_that_is_refused(self, client: httpx2.AsyncClient) -> None:
        problem_of(await client.post("/v1/things/7/files", content=b"x" * 3001), 413, "body-too-large")

    @pytest.mark.parametrize(("method", "path"), [("PUT", "/v1/things/7/files"), ("POST", "/v1/things/7/8/files")])
    async def test_others_take_the_usual(self, client: httpx2.AsyncClient, method: str, path: str) -> None:
        problem_of(await client.request(method, path, content=b"x" * 2000), 413, "body-too-large")


async def test_nosniff_is_in_every_answer(client: httpx2.AsyncClient) -> None:
    assert (await client.get("/healthz")).headers["x-content-type-options"] == "nosniff"


class TestManyValues:
    def test_commas_in_texts_count_as_text(self) -> None:
        lines = [{"description": ", ".join(["part"] * 40), "unit_price_minor": 1} for _ in range(1_000)]
        assert read_strict(json.dumps({"lines": lines}).encode()) == {"lines": lines}

    def test_too_many_in_all_are_refused(self) -> None:
        lists = json.dumps([[1] * 1_900] * 20).encode()
        with pytest.raises(TooManyError, match="30,000 values"):
            read_strict(lists)
