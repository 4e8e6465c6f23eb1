"""Notify over HTTP, as staff, programs and contacts see it."""

import pathlib
from collections.abc import AsyncIterator

import httpx2
import pytest

from chassis.http.identity import Identity, TokenSigner
from contracts import auth
from contracts.ids import new_id
from notify.__main__ import service
from tests.kit.mails import sealed
from tests.kit.notifying import Desk, desk_of, receipt
from tests.kit.serving import serving, write_keys


class Front:
    """Notify's API beside a desk."""

    def __init__(self, desk: Desk, url: str, signer: TokenSigner) -> None:
        self.desk, self._url, self._signer = desk, url, signer

    def of(self, who: Identity) -> httpx2.AsyncClient:
        token, _ = self._signer.sign(who, "notify")
        return httpx2.AsyncClient(base_url=self._url, headers={"Authorization": f"Bearer {token}"})

    def staff(self, *scopes: str, customer: str | None = None) -> httpx2.AsyncClient:
        return self.of(Identity("kim", "system" if customer else "staff", frozenset(scopes or {"*"}), customer))

    def contact(self, contact_id: str, customer: str) -> httpx2.AsyncClient:
        scopes = frozenset({"customers:read", "invoices:read", "payments:read"})
        return self.of(Identity(contact_id, "contact", scopes, customer))

    def nobody(self) -> httpx2.AsyncClient:
        return httpx2.AsyncClient(base_url=self._url)


@pytest.fixture
async def front(tmp_path: pathlib.Path) -> AsyncIterator[Front]:
    private, public = write_keys(tmp_path)
    async with (
        desk_of(tmp_path, public_keys=public) as desk,
        serving(service.app(desk.running.settings, work=False)) as url,
    ):
        yield Front(desk, url, TokenSigner(private))


async def mailed(front: Front, address: str | None = None) -> tuple[str, str]:
    """A contact and its customer, to whom one receipt was mailed."""
    contact = await front.desk.contact(address)
    count = len(await front.desk.mails())
    await front.desk.hear(receipt(contact.customer_id))
    async with front.desk.sending():
        await front.desk.ended(count + 1)
    return contact.contact_id, contact.customer_id


class TestMails:
    async def test_are_listed_newest_first_in_pages(self, front: Front) -> None:
        _, customer = await mailed(front)
        _, other = await mailed(front, "unknown@example.com")
        async with front.staff("mails:read") as staff:
            first = (await staff.get("/v1/mails", params={"limit": 1})).json()
            assert [one["customer_id"] for one in first["items"]] == [other]
            rest = (await staff.get("/v1/mails", params={"cursor": first["next_cursor"]})).json()
            assert ([one["customer_id"] for one in rest["items"]], rest["next_cursor"]) == ([customer], None)
            for filters in ({"customer_id": customer}, {"state": "sent"}, {"customer_id": customer, "state": "sent"}):
                found = (await staff.get("/v1/mails", params=filters)).json()["items"]
                assert [one["customer_id"] for one in found] == [customer]
            bounced = (await staff.get("/v1/mails", params={"state": "bounced"})).json()["items"]
            assert (bounced[0]["address"], bounced[0]["attempts"]) == (None, 1)

    async def test_key_of_one_customer_sees_its_own(self, front: Front) -> None:
        _, customer = await mailed(front)
        await mailed(front)
        async with front.staff("mails:read", customer=customer) as own:
            found = (await own.get("/v1/mails")).json()["items"]
            assert [one["customer_id"] for one in found] == [customer]
            assert (await own.get("/v1/mails", params={"customer_id": new_id()})).status_code == 404

    async def test_contact_sees_none(self, front: Front) -> None:
        contact, customer = await mailed(front)
        async with front.contact(contact, customer) as own:
            assert (await own.get("/v1/mails")).status_code == 403

    @pytest.mark.parametrize("words", ["cursor=x", "customer_id=x", "state=x", "limit=0"])
    async def test_wrong_words_are_named(self, front: Front, words: str) -> None:
        async with front.staff() as staff:
            answer = await staff.get(f"/v1/mails?{words}")
            assert answer.status_code in (404, 422)
            assert answer.json()["request_id"]


class TestResending:
    async def test_mail_is_written_anew(self, front: Front) -> None:
        await mailed(front)
        (row,) = await front.desk.mails()
        async with front.staff() as staff, front.desk.sending():
            for resends in (1, 2):
                answer = await staff.post(f"/v1/mails/{row['id']}/resend")
                assert (answer.status_code, answer.json()["state"]) == (202, "queued")
                (now,) = await front.desk.ended()
                assert (now["state"], now["resends"]) == ("sent", resends)
        assert len({mail["headers"]["Message-ID"] for mail in front.desk.caught()}) == 3

    async def test_code_is_not_sent_again(self, front: Front) -> None:
        contact = await front.desk.contact()
        await front.desk.hear(front.desk.code(contact.contact_id))
        async with front.desk.sending():
            (row,) = await front.desk.ended()
        async with front.staff() as staff:
            answer = await staff.post(f"/v1/mails/{row['id']}/resend")
        assert (answer.status_code, answer.json()["type"].rpartition(":")[2]) == (409, "not-sent-again")

    async def test_invoice_needs_a_new_link(self, front: Front) -> None:
        contact = await front.desk.contact()
        await front.desk.hear(
            auth.PayerLinkMade(
                link_id=new_id(), customer_id=contact.customer_id, about="invoice_issued",
                sealed=sealed(front.desk.public_key, link="http://portal/i/canary"),
            )
        )  # fmt: skip
        async with front.desk.sending():
            (row,) = await front.desk.ended()
        async with front.staff() as staff:
            answer = await staff.post(f"/v1/mails/{row['id']}/resend")
        assert (answer.status_code, "POST /v1/payer-links" in answer.json()["detail"]) == (409, True)

    async def test_other_customers_mail_is_not_there(self, front: Front) -> None:
        await mailed(front)
        (row,) = await front.desk.mails()
        async with front.staff("mails:write", customer=new_id()) as other:
            assert (await other.post(f"/v1/mails/{row['id']}/resend")).status_code == 404
        async with front.staff("mails:read") as reader:
            assert (await reader.post(f"/v1/mails/{row['id']}/resend")).status_code == 403


class TestBounces:
    async def test_hook_marks_address_and_mail(self, front: Front) -> None:
        await mailed(front, "Gone@example.com")
        (mail,) = front.desk.caught()
        body = {"address": "gone@EXAMPLE.com", "message_id": mail["headers"]["Message-ID"]}
        async with front.staff("mails:write") as hook:
            assert (await hook.post("/v1/mail-bounces", json=body)).json() == {"people": 1}
            assert (await hook.post("/v1/mail-bounces", json=body)).json() == {"people": 0}
        (row,) = await front.desk.mails()
        assert row["state"] == "bounced"

    async def test_key_of_one_customer_may_not(self, front: Front) -> None:
        async with front.staff("mails:write", customer=new_id()) as own:
            answer = await own.post("/v1/mail-bounces", json={"address": "a@example.com"})
            cleared = await own.delete(f"/v1/mail-bounces/{new_id()}")
        assert (answer.status_code, cleared.status_code) == (403, 403)

    async def test_cleared_address_is_mailed_again(self, front: Front) -> None:
        contact, customer = await mailed(front, "Back@example.com")
        async with front.staff("mails:write") as staff, front.desk.sending():
            await staff.post("/v1/mail-bounces", json={"address": "back@example.com"})
            await front.desk.hear(receipt(customer))
            assert (await front.desk.ended(2))[1]["state"] == "suppressed"
            assert (await staff.delete(f"/v1/mail-bounces/{contact}")).status_code == 204
            assert (await staff.delete(f"/v1/mail-bounces/{contact}")).status_code == 404
            await front.desk.hear(receipt(customer))
            assert (await front.desk.ended(3))[2]["state"] == "sent"


class TestPreferences:
    async def test_contact_chooses_its_own(self, front: Front) -> None:
        contact, customer = await mailed(front)
        async with front.contact(contact, customer) as own:
            everything = {"invoices": True, "receipts": True, "methods": True}
            assert (await own.get("/v1/mail-preferences")).json() == everything
            chosen = everything | {"receipts": False}
            assert (await own.put("/v1/mail-preferences", json=chosen)).json() == chosen
            assert (await own.get("/v1/mail-preferences")).json() == chosen
        other = await front.desk.contact(customer=customer)
        async with front.contact(other.contact_id, customer) as own:
            assert (await own.get("/v1/mail-preferences")).json() == everything
        await front.desk.hear(receipt(customer))
        async with front.desk.sending():
            rows = await front.desk.ended(3)
        assert sorted(row["state"] for row in rows) == ["sent", "sent", "suppressed"]

    async def test_staff_and_programs_have_none(self, front: Front) -> None:
        for who in (front.staff(), front.of(Identity("key", "system", frozenset({"*"})))):
            async with who as client:
                assert (await client.get("/v1/mail-preferences")).status_code == 403

    async def test_link_in_a_mail_needs_no_key(self, front: Front) -> None:
        contact, customer = await mailed(front)
        (mail,) = front.desk.caught()
        path = mail["headers"]["List-Unsubscribe"].strip("<>").removeprefix("http://portal")
        async with front.nobody() as program:
            page = await program.get(path)
            assert (page.status_code, "Stop mails of this kind" in page.text) == (200, True)
            async with front.contact(contact, customer) as own:
                assert (await own.get("/v1/mail-preferences")).json()["receipts"]
                assert (await program.post(path)).status_code == 204
                assert not (await own.get("/v1/mail-preferences")).json()["receipts"]
            assert (await program.post(path[:-4])).status_code == 404
            assert (await program.post("/v1/unsubscribe/AAAA")).status_code == 404


class TestPlans:
    async def test_each_list_has_its_index(self, front: Front) -> None:
        await mailed(front)
        queries = {
            "SELECT * FROM mails WHERE customer_id = $1::uuid AND state = 'sent' ORDER BY id DESC LIMIT 5": "by_state",
            "SELECT * FROM mails WHERE customer_id = $1::uuid ORDER BY id DESC LIMIT 5": "mails_of_customer",
            "SELECT EXISTS (SELECT FROM mails WHERE person_id = $1::uuid AND at_once = false AND place < 5"
            " AND state = 'queued' AND attempts = 0)": "mails_in_turn",
            "UPDATE people SET bounced_at = now() WHERE lower(email) = lower($1::uuid::text)": "people_by_email",
        }
        for query, index in queries.items():
            rows = await front.desk.running.pool.fetch(f"EXPLAIN {query}", new_id())
            assert index in "\n".join(row[0] for row in rows)
