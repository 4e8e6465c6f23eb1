"""Routes, limits, headers, the ring, and the merged OpenAPI."""

import hashlib
import time

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chassis.http.problems import Problem
from contracts.topics import PARTITIONS
from gateway.client import Answer
from gateway.cookies import NAMES, cookies_of
from gateway.credentials import Credential, credential_of
from gateway.limits import Buckets
from gateway.openapi import ONCE, merge
from gateway.proxy import address_of, passed_back, passed_on
from gateway.ring import STREAMED, Entry, Position, Ring
from gateway.routes import find_route, visit_of
from gateway.waiting import Waiting, waits

COUNT = len(STREAMED) * PARTITIONS


@pytest.mark.parametrize(
    ("path", "owner"),
    [
        ("/v1/api-keys", "auth"),
        ("/v1/api-keys/7", "auth"),
        ("/v1/sign-in/codes", "auth"),
        ("/v1/payer-links", "auth"),
        ("/v1/payer-links/x/codes", "auth"),
        ("/v1/customers/7/visits", "auth"),
        ("/v1/customers", "invoicing"),
        ("/v1/customers/7", "invoicing"),
        ("/v1/customers/7/aging", "invoicing"),
        ("/v1/customers/7/payment-methods", "payments"),
        ("/v1/invoices/7/void", "invoicing"),
        ("/v1/quotes", "payments"),
        ("/v1/payments/offline", "payments"),
        ("/v1/webhooks/stripe", "payments"),
        ("/v1/webhooks", None),
        ("/v1/webhooks/", None),
        ("/v1/company", "auth"),
        ("/v1/company/look", "auth"),
        ("/v1", None),
        ("/internal/token", None),
        ("/v1/../internal/token", None),
        ("/as/018f0000-0000-7000-8000-000000000001/v1/invoices", None),
        ("/v2/invoices", None),
    ],
)
def test_every_path_has_one_owner_or_none(path: str, owner: str | None) -> None:
    route = find_route(path)
    assert (route.owner if route else None) == owner
    assert route is None or route.keyless == path.startswith(
        ("/v1/webhooks/", "/v1/sign-in", "/v1/payer-links/", "/v1/company/look")
    )


GRANT = "018f0000-0000-7000-8000-000000000001"


class TestVisitPaths:
    def test_name_the_grant_and_the_rest(self) -> None:
        assert visit_of(f"/as/{GRANT}/v1/invoices/a%2Fb".encode()) == (GRANT, b"/v1/invoices/a%2Fb")

    @pytest.mark.parametrize(
        "path",
        [
            f"/as/{GRANT}/", f"/as/{GRANT}/v2/invoices", f"/as/{GRANT}v1/invoices", f"/as/{GRANT}//v1/invoices",
            "/as/7/v1/invoices", f"/%61s/{GRANT}/v1/invoices", f"/as/{GRANT}%2Fv1/invoices",
            f"/as/{GRANT.upper()}/v1/x", f"/as/{GRANT}/v1", f"//as/{GRANT}/v1/invoices", f"/v1/as/{GRANT}/v1/invoices",
        ],
    )  # fmt: skip
    def test_no_other_form_is_one(self, path: str) -> None:
        assert visit_of(path.encode()) is None


class TestCookies:
    def test_first_of_a_name_counts(self) -> None:
        sent = [
            (b"cookie", b"a=b;__Host-paidup-session=one; __Host-paidup-session=two"),
            (b"cookie", b"__Secure-paidup-visit=x=y; __Host-paidup-session=three; __Host-Paidup-Browser=no"),
        ]
        assert cookies_of(sent) == {b"__Host-paidup-session": b"one", b"__Secure-paidup-visit": b"x=y"}

    @given(st.binary(max_size=300))
    def test_any_text_can_be_read(self, text: bytes) -> None:
        assert set(cookies_of([(b"cookie", text)])) <= NAMES

    @pytest.mark.parametrize("value", [b"", b"x" * 201])
    def test_no_value_and_long_ones_are_none(self, value: bytes) -> None:
        assert cookies_of([(b"cookie", b"__Host-paidup-session=" + value)]) == {}


class TestLimits:
    def test_bucket_is_refilled_with_time(self, monkeypatch: pytest.MonkeyPatch) -> None:
        now = 1000.0
        monkeypatch.setattr(time, "monotonic", lambda: now)
        buckets = Buckets(rate=2)
        for _ in range(2):
            buckets.take("a")
        with pytest.raises(Problem) as refused:
            buckets.take("a")
        assert refused.value.status == 429
        assert refused.value.headers == {"Retry-After": "1"}
        buckets.take("b")
        now += 0.5
        buckets.take("a")
        with pytest.raises(Problem):
            buckets.take("a")

    def test_slow_rate_says_how_long_to_wait(self) -> None:
        buckets = Buckets(rate=0.1)
        buckets.take("a")
        with pytest.raises(Problem) as refused:
            buckets.take("a")
        assert refused.value.headers == {"Retry-After": "10"}


class TestHeaders:
    def test_internal_and_hop_headers_are_removed(self) -> None:
        given = [
            (b"host", b"paidup"), (b"authorization", b"Bearer pk_1"), (b"connection", b"close, X-Hop"),
            (b"x-hop", b"1"), (b"paidup-internal", b"guess"), (b"x-request-id", b"1"),
            (b"transfer-encoding", b"chunked"), (b"idempotency-key", b"k"),
            (b"paidup-seen", b"i:1"), (b"stripe-signature", b"t=1"), (b"cookie", b"a=b"),
            (b"content-type", b"application/json"),
        ]  # fmt: skip
        assert credential_of(given) == Credential("key", hashlib.sha256(b"pk_1").digest())
        assert dict(passed_on(given)).keys() == {
            b"idempotency-key", b"paidup-seen", b"stripe-signature", b"content-type", b"x-request-id",
        }  # fmt: skip

    def test_answers_keep_their_headers_and_get_their_length(self) -> None:
        answer = Answer(201, [(b"server", b"x"), (b"paidup-seen", b"i:1"), (b"content-length", b"9")], b"abc")
        kept = [(b"paidup-seen", b"i:1"), (b"cache-control", b"no-store"), (b"content-length", b"3")]
        assert passed_back(answer) == kept
        assert passed_back(Answer(204, [(b"cache-control", b"max-age=9")], b"")) == [(b"cache-control", b"max-age=9")]


class TestPosition:
    @settings(suppress_health_check=[HealthCheck.too_slow])  # a busy machine draws them slowly
    @given(st.lists(st.integers(0, 2**62), min_size=COUNT, max_size=COUNT))
    def test_text_is_read_back(self, offsets: list[int]) -> None:
        position = Position.decode(Position(offsets).encode())
        assert position is not None
        assert position.offsets == offsets

    @given(st.text(max_size=60))
    def test_other_text_is_none(self, text: str) -> None:
        assert Position.decode(text) is None

    def test_fresh_one_is_short(self) -> None:
        offsets = [0] * COUNT
        offsets[3] = 12_345
        assert len(Position(offsets).encode()) < 60


def entry(place: int, offset: int, *, size: int = 10, at: float | None = None) -> Entry:
    headers = [("ce_type", b"InvoicePaid"), ("ce_subject", b"i1"), ("customer", b"c1"), ("broken", b"\xff")]
    value = b'{"a":\n1}' if size == 10 else b"x" * size
    return Entry(place, offset, STREAMED[0], headers, value, time.monotonic() if at is None else at, "c1")


def of_ticket(kind: str) -> Entry:
    value = b'{"ticket_id":"t1","status":"open","assignee":"p1","escalated":true}'
    headers = [("ce_type", kind.encode()), ("ce_subject", b"t1"), ("customer", b"c1")]
    return Entry(0, 1, "support.ticket.v1", headers, value, time.monotonic(), "c1")


class TestRing:
    def test_forgets_by_age_and_moves_its_floor(self) -> None:
        ring = Ring(seconds=60, most_bytes=10**9)
        ring.start(Position([5] * COUNT))
        ring.add(entry(0, 5, at=time.monotonic() - 61))
        ring.add(entry(1, 9))
        ring.trim()
        assert [one.offset for one in ring.since(ring.first, 10)] == [9]
        assert ring.floor.offsets[:3] == [6, 5, 5]
        assert ring.head.offsets[:3] == [6, 10, 5]
        assert Position([5] * COUNT).behind(ring.floor)
        assert not Position([6] * COUNT).behind(ring.floor)

    def test_is_bounded_by_bytes(self) -> None:
        ring = Ring(seconds=600, most_bytes=20_000)
        ring.start(Position([0] * COUNT))
        for offset in range(100):
            ring.add(entry(0, offset, size=1000))
            ring.trim()
        assert ring.end - ring.first == 10
        assert ring.floor.offsets[0] == 90

    def test_entry_is_a_cloud_event_on_two_lines(self) -> None:
        text = entry(0, 1).render()
        kind, data, *rest = text.split(b"\n")
        assert kind == b"event: InvoicePaid"
        event = orjson.loads(data.removeprefix(b"data: "))
        assert (event["type"], event["subject"], event["customer"], event["data"]) == (
            "InvoicePaid",
            "i1",
            "c1",
            {"a": 1},
        )
        assert rest == [b"", b""]

    @pytest.mark.parametrize(
        "kind",
        [
            "TicketOpened",
            "TicketReplied",
            "TicketAssigned",
            "TicketSolved",
            "TicketClosed",
            "TicketReopened",
            "TicketMerged",
        ],
    )
    def test_customer_gets_no_fields_of_the_company(self, kind: str) -> None:
        one, fields = of_ticket(kind), {"ticket_id": "t1", "status": "open"}
        shown = [line.removeprefix(b"data: ") for line in one.render_for_customer().split(b"\n")][1]
        assert orjson.loads(shown)["data"] == fields
        whole = one.render().split(b"\n")[1].removeprefix(b"data: ")
        assert orjson.loads(whole)["data"] == fields | {"assignee": "p1", "escalated": True}

    def test_customer_gets_no_events_of_the_company(self) -> None:
        assert of_ticket("TicketEscalated").render_for_customer() == b""
        assert b'"escalated":true' in of_ticket("TicketEscalated").render()

    def test_customer_gets_other_events_whole(self) -> None:
        assert entry(0, 1).render_for_customer() == entry(0, 1).render()

    def test_body_without_json_does_not_break_the_stream(self) -> None:
        data = entry(0, 1, size=11).render().split(b"\n")[1]
        assert orjson.loads(data.removeprefix(b"data: "))["data"] is None


OPERATION = {"operationId": "look", "summary": "Look", "tags": ["invoices"]}


def document(path: str, schema: dict[str, object]) -> dict[str, object]:
    answer = {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/Item"}}}}
    return {
        "paths": {
            path: {"get": OPERATION | {"responses": {"200": answer, "422": {}}}},
            "/internal/x": {"get": OPERATION | {"responses": {}}},
        },
        "components": {"schemas": {"Item": schema, "HTTPValidationError": {}}},
    }


class TestMerging:
    def test_clashing_names_are_kept_apart(self) -> None:
        merged = merge(
            {
                "invoicing": document("/v1/invoices", {"type": "object"}),
                "payments": document("/v1/webhooks/{provider}", {"type": "string"}),
            }
        )
        assert set(merged["paths"]) == {"/v1/invoices", "/v1/webhooks/{provider}", "/v1/events/stream"}
        assert set(merged["components"]["schemas"]) == {"Problem", "Conflict", "FieldError", "Item", "PaymentsItem"}
        hook = merged["paths"]["/v1/webhooks/{provider}"]["get"]
        assert hook["security"] == []
        assert "Paidup-Seen" not in str(hook.get("parameters"))
        assert "Paidup-Seen" in str(merged["paths"]["/v1/invoices"]["get"]["parameters"])
        assert "PaymentsItem" in str(hook["responses"]["200"])
        problem = merged["paths"]["/v1/invoices"]["get"]["responses"]["422"]
        assert problem == {"$ref": "#/components/responses/Problem422"}
        assert "application/problem+json" in merged["components"]["responses"]["Problem422"]["content"]

    def test_idempotency_key_is_in_the_document(self) -> None:
        parameter = {"name": "idempotency-key", "in": "header", "required": False}
        operation = OPERATION | {
            ONCE: True,
            "parameters": [parameter],
            "responses": {"202": {"description": "Accepted"}},
        }
        merged = merge({"payments": {"paths": {"/v1/payments": {"post": operation}}}})
        finished = merged["paths"]["/v1/payments"]["post"]
        named = [(one["name"], one["required"]) for one in finished["parameters"]]
        assert named == [("Idempotency-Key", True), ("Paidup-Seen", False)]
        assert set(finished["responses"]["202"]["headers"]) == {"X-Request-Id", "Paidup-Seen", "Idempotent-Replayed"}

    def test_foreign_path_is_refused(self) -> None:
        assert "/v1/invoices" not in merge({"payments": document("/v1/invoices", {})})["paths"]


class TestClientAddress:
    def test_callers_own_header_is_removed(self) -> None:
        sent = [(b"paidup-client-address", b"6.6.6.6"), (b"x-forwarded-for", b"7.7.7.7"), (b"prefer", b"wait=1")]
        for headers in (sent, [*sent, (b"connection", b"paidup-client-address")]):
            kept = passed_on(headers, ("203.0.113.9", 4711))
            assert [value for name, value in kept if name == b"paidup-client-address"] == [b"203.0.113.9"]
            assert not any(value in (b"6.6.6.6", b"7.7.7.7") for _, value in kept)
        assert not any(name == b"paidup-client-address" for name, _ in passed_on(sent))

    @pytest.mark.parametrize(
        ("host", "address"),
        [
            ("203.0.113.9", "203.0.113.9"),
            ("::ffff:203.0.113.9", "203.0.113.9"),
            ("2001:DB8:0::1", "2001:db8::1"),
            ("fe80::1%eth0", "fe80::1"),
            ("", None),
            ("unknown", None),
            ("_hidden\r\nx: y", None),
        ],
    )
    def test_has_one_normal_form(self, host: str, address: str | None) -> None:
        assert address_of((host, 1)) == address


class TestWaiting:
    def test_has_places_for_each_key(self) -> None:
        waiting = Waiting({"payments": "http://127.0.0.1:1"}, most=3, per_key=2, timeout=1)
        with waiting.place("payments", "a") as one, waiting.place("payments", "a") as two:
            assert one is two is not None
            with waiting.place("payments", "a") as third, waiting.place("payments", "b") as other:
                assert (third, other) == (None, one)
                with waiting.place("payments", "c") as beyond:
                    assert beyond is None
        with waiting.place("payments", "a") as again, waiting.place("auth", "a") as elsewhere:
            assert (again, elsewhere) == (one, None)

    @pytest.mark.parametrize(
        ("method", "value", "asked"),
        [
            ("POST", b"wait=10", True),
            ("POST", b"respond-async, WAIT=10", True),
            ("POST", b"return=minimal", False),
            ("GET", b"wait=10", False),
        ],
    )
    def test_is_asked_for_by_posts(self, method: str, value: bytes, asked: bool) -> None:
        assert waits(method, [(b"prefer", value)]) == asked
