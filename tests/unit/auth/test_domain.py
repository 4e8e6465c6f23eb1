"""Who may make which API key, and when one is refused."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from auth.keys.domain import SCOPES, ApiKey, Maker, hash_of, make_key
from auth.tokens import seconds_left
from contracts.refusals import Refusal

NOW = datetime(2026, 3, 1, tzinfo=UTC)
ADMIN = Maker("admin", frozenset({"*"}))
ERP = Maker("erp", frozenset({"invoices:read", "keys:write"}))


def asked(maker: Maker = ADMIN, **more: object) -> ApiKey | Refusal:
    wish = {
        "key_id": "k", "secret": "pk_0123456789abcdef", "name": "ERP", "scopes": ["invoices:read"],
        "customer_id": None, "expires_at": None, "now": NOW,
    }  # fmt: skip
    return make_key(maker=maker, **{**wish, **more})  # type: ignore[arg-type]


def made(maker: Maker = ADMIN, **more: object) -> ApiKey:
    key = asked(maker, **more)
    assert isinstance(key, ApiKey)
    return key


class TestMaking:
    def test_key_itself_is_not_kept(self) -> None:
        key = made()
        assert key.hash == hash_of("pk_0123456789abcdef")
        assert "9abcdef" not in repr(replace(key, hash=b""))

    def test_scopes_of_the_maker_are_the_limit(self) -> None:
        assert made(ERP).scopes == ("invoices:read",)
        refused = asked(ERP, scopes=["invoices:read", "invoices:write"])
        assert isinstance(refused, Refusal)
        assert (refused.field, refused.forbidden) == ("scopes.1", True)
        assert isinstance(asked(ERP, scopes=["*"]), Refusal)

    def test_only_listed_scopes_are_granted(self) -> None:
        assert made(scopes=[*SCOPES, "*"]).scopes == SCOPES
        refused = asked(scopes=["invoices:destroy"])
        assert isinstance(refused, Refusal)
        assert not refused.forbidden

    def test_customers_key_makes_keys_of_that_customer(self) -> None:
        maker = replace(ERP, customer_id="c1")
        assert made(maker).customer_id == "c1"
        assert made(maker, customer_id="c1").customer_id == "c1"
        assert isinstance(asked(maker, customer_id="c2"), Refusal)

    def test_end_in_the_past_is_refused(self) -> None:
        refused = asked(expires_at=NOW)
        assert isinstance(refused, Refusal)
        assert refused.field == "expires_at"


class TestEnd:
    @pytest.mark.parametrize(("after", "usable"), [(59, True), (60, False), (61, False)])
    def test_key_is_refused_from_its_end_on(self, after: int, usable: bool) -> None:
        key = made(expires_at=NOW + timedelta(seconds=60))
        assert key.usable(NOW + timedelta(seconds=after)) is usable

    def test_revoking_twice_changes_nothing_more(self) -> None:
        revoked = made().revoke(NOW)
        assert (revoked.usable(NOW), revoked.sequence) == (False, 2)
        assert revoked.revoke(NOW + timedelta(days=1)) is revoked

    @pytest.mark.parametrize(("left", "seconds"), [(3600, 60), (30.5, 30), (0.2, 1)])
    def test_token_ends_with_its_key(self, left: float, seconds: int) -> None:
        assert seconds_left(NOW + timedelta(seconds=left), NOW) == seconds
        assert seconds_left(None, NOW) == 60
