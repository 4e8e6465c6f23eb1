"""Tickets over HTTP on a real PostgreSQL: the thread, who may do what, and what is said of it."""

import asyncio
import json
from datetime import timedelta
from typing import Any

import httpx2
import pytest

from chassis.db.reads import OfCustomer, open_portal
from contracts import auth
from contracts.ids import new_id
from tests.kit.notifying import invoice
from tests.kit.supporting import Help

NEW = {"subject": "Two boxes", "details": "Only one of the two boxes came."}


async def opened(client: httpx2.AsyncClient, key: str | None = None, **more: Any) -> dict[str, Any]:
    answer = await client.post("/v1/tickets", json={**NEW, **more}, headers={"Idempotency-Key": key or new_id()})
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()
    return made


async def done(client: httpx2.AsyncClient, ticket: dict[str, Any], what: str, body: Any = None) -> dict[str, Any]:
    answer = await client.post(f"/v1/tickets/{ticket['id']}/{what}", json=body)
    assert answer.status_code in (200, 201), answer.text
    made: dict[str, Any] = answer.json()
    return made


async def said(client: httpx2.AsyncClient, ticket: dict[str, Any], text: str, **more: Any) -> dict[str, Any]:
    return await done(client, ticket, "replies", {"text": text, **more})


def thread(ticket: dict[str, Any]) -> list[str]:
    return [one["event"] for one in ticket["events"]]


class TestThread:
    async def test_goes_through_the_workflow(self, desk: Help) -> None:
        acme = await desk.acme()
        async with desk.contact(acme) as ann, desk.staff(acme.manager) as lee:
            ticket = await opened(ann)
            assert (ticket["status"], ticket["kind"], ticket["customer_name"]) == ("new", "request", "Acme Corp")
            assert ticket["number"].startswith("T-")
            await said(lee, ticket, "They are a known customer.", internal=True)
            await said(lee, ticket, "The other one comes today.")
            seen = (await ann.get(f"/v1/tickets/{ticket['id']}")).json()
            assert (seen["status"], thread(seen)) == ("waiting_for_you", ["asked", "replied"])
            assert seen["events"][1]["by"]["name"] == "Lee Roy"
            assert (await said(ann, ticket, "It came."))["status"] == "open"
            solved = await done(lee, ticket, "solve")
            assert thread(solved) == ["asked", "noted", "replied", "replied", "solved"]
            assert (await done(ann, ticket, "close"))["status"] == "closed"
        kinds = [name for name, _, _ in await desk.events(ticket["id"])]
        assert kinds == ["TicketOpened", "TicketReplied", "TicketReplied", "TicketSolved", "TicketClosed"]

    async def test_public_events_hold_no_text(self, desk: Help) -> None:
        acme = await desk.acme()
        async with desk.contact(acme) as ann:
            ticket = await opened(ann, invoice_id=acme.invoice)
        ((_, sequence, body),) = await desk.events(ticket["id"])
        assert sequence == 1
        assert body == {
            "ticket_id": ticket["id"], "customer_id": acme.id, "number": ticket["number"], "kind": "request",
            "status": "new", "by": "customer", "invoice_id": acme.invoice, "escalated": False,
        }  # fmt: skip

    async def test_text_lies_nowhere_but_in_support(self, desk: Help) -> None:
        acme, word = await desk.acme(), f"word{new_id()}"
        async with desk.contact(acme) as ann:
            await opened(ann, details=word)
        rows = await desk.running.pool.fetch("SELECT convert_from(payload, 'UTF8') AS text FROM outbox")
        assert not [row for row in rows if word in row["text"]]

    async def test_is_shared_among_contacts(self, desk: Help) -> None:
        acme = await desk.acme()
        bea = await desk.person_of(acme.id, "Bea Ruiz")
        async with desk.contact(acme) as ann, desk.contact(acme, bea) as other:
            ticket = await opened(ann)
            answered = await said(other, ticket, "I have seen it, too.")
            assert [one["by"]["name"] for one in answered["events"]] == ["Ann Ng", "Bea Ruiz"]

    async def test_long_one_shows_its_newest_part(self, desk: Help) -> None:
        acme = await desk.acme()
        more = """INSERT INTO ticket_events (ticket_id, place, customer_id, what, at, side, by_kind, by_id, text,
                internal, status)
            SELECT $1, n, $2, 'replied', now(), 'customer', 'contact', $3, 'more', false, 'new'
            FROM generate_series(2, 1100) AS n"""
        async with desk.contact(acme) as ann:
            ticket = await opened(ann)
            await desk.running.pool.execute(more, ticket["id"], acme.id, acme.contact)
            await desk.running.pool.execute("UPDATE tickets SET entries = 1100 WHERE id = $1", ticket["id"])
            found = await said(ann, ticket, "The last one.")
        assert (len(found["events"]), found["events"][-1]["text"]) == (1_000, "The last one.")

    async def test_write_names_what_was_seen(self, desk: Help) -> None:
        acme = await desk.acme()
        async with desk.contact(acme) as ann:
            answer = await ann.post("/v1/tickets", json=NEW, headers={"Idempotency-Key": new_id()})
            assert answer.headers["Paidup-Seen"] == f"{answer.json()['id']}:1"
            seen = {"Paidup-Seen": answer.headers["Paidup-Seen"]}
            assert (await ann.get("/v1/tickets", headers=seen)).status_code == 200


class TestEnding:
    async def test_reply_reopens_within_fourteen_days(self, desk: Help) -> None:
        acme = await desk.acme()
        async with desk.contact(acme) as ann, desk.staff(acme.manager) as lee:
            ticket = await opened(ann)
            await done(lee, ticket, "solve")
            desk.move(timedelta(days=13, hours=23))
            again = await said(ann, ticket, "It broke.")
        assert (again["id"], again["status"]) == (ticket["id"], "open")
        assert thread(again)[-2:] == ["reopened", "replied"]
        kinds = [(name, number) for name, number, _ in await desk.events(ticket["id"])]
        assert kinds[-2:] == [("TicketReopened", 3), ("TicketReplied", 4)]

    async def test_later_reply_opens_one_that_follows(self, desk: Help) -> None:
        acme = await desk.acme()
        async with desk.contact(acme) as ann:
            ticket = await opened(ann, invoice_id=acme.invoice)
            await done(ann, ticket, "close")
            desk.move(timedelta(days=14, seconds=1))
            following = await said(ann, ticket, "It broke.")
            assert following["id"] != ticket["id"]
            assert (following["follows"], following["status"]) == (ticket["id"], "new")
            assert (following["subject"], following["invoice_id"]) == (ticket["subject"], acme.invoice)
            old = (await ann.get(f"/v1/tickets/{ticket['id']}")).json()
            assert old["status"] == "closed"
            assert [one["id"] for one in old["followed_by"]] == [following["id"]]
            again = await said(ann, ticket, "And again.")
            assert (again["id"], thread(again)) == (following["id"], ["asked", "replied"])
            late = await ann.post(f"/v1/tickets/{ticket['id']}/reopen")
            assert (late.status_code, late.json()["type"]) == (409, "urn:paidup:problem:reopened-too-late")

    async def test_late_replies_at_once_make_one(self, desk: Help) -> None:
        acme = await desk.acme()
        async with desk.contact(acme) as ann:
            ticket = await opened(ann)
            await done(ann, ticket, "close")
            desk.move(timedelta(days=14, seconds=1))
            answers = await asyncio.gather(*(said(ann, ticket, f"Late {n}") for n in range(5)))
            (following,) = {one["id"] for one in answers}
            found = (await ann.get(f"/v1/tickets/{following}")).json()
        assert thread(found) == ["asked"] + ["replied"] * 4
        assert {one["text"] for one in found["events"]} == {f"Late {n}" for n in range(5)}

    @pytest.mark.parametrize("left", [False, True])
    async def test_one_that_follows_keeps_its_assignee(self, desk: Help, left: bool) -> None:
        acme, address = await desk.acme(), f"{new_id()}@paidup.example"
        kim = await desk.person("Kim Oh", email=address)
        async with desk.contact(acme) as ann, desk.staff(acme.manager) as lee:
            ticket = await opened(ann)
            await done(lee, ticket, "assign", {"assignee": kim})
            await done(ann, ticket, "close")
            gone = {"staff_id": kim, "name": "Kim Oh", "email": address, "language": "en", "role": "account_manager"}
            await desk.hear(auth.StaffChanged(**gone, enabled=not left))
            desk.move(timedelta(days=14, seconds=1))
            following = await said(ann, ticket, "It broke.")
        assert following["assignee"] == (acme.manager if left else kim)
        assert [one["to"] for one in await desk.notices(following["id"])] == [[following["assignee"]]]

    async def test_second_request_changes_nothing(self, desk: Help) -> None:
        acme = await desk.acme()
        async with desk.contact(acme) as ann, desk.staff(acme.manager) as lee:
            ticket = await opened(ann)
            for what, body in (("assign", {"assignee": "me"}), ("escalate", None), ("solve", None), ("close", None)):
                first, second = await done(lee, ticket, what, body), await done(lee, ticket, what, body)
                assert first == second
            assert await done(lee, ticket, "reopen") == await done(lee, ticket, "reopen")

    async def test_closed_ticket_is_not_escalated(self, desk: Help) -> None:
        acme = await desk.acme()
        async with desk.staff(acme.manager) as lee:
            ticket = await opened(lee, customer_id=acme.id)
            await done(lee, ticket, "close")
            answer = await lee.post(f"/v1/tickets/{ticket['id']}/escalate")
            assert (answer.status_code, answer.json()["type"]) == (409, "urn:paidup:problem:ticket-ended")


class TestNotes:
    async def test_are_never_seen_by_the_customer(self, desk: Help) -> None:
        acme, word = await desk.acme(), f"word{new_id()}"
        async with (
            desk.contact(acme) as ann, desk.staff(acme.manager) as lee,
            desk.visitor(acme) as visiting, desk.program(acme.id) as erp,
        ):  # fmt: skip
            ticket = await opened(ann)
            before = (await ann.get(f"/v1/tickets/{ticket['id']}")).json()
            await said(lee, ticket, word, internal=True)
            assert (await ann.get(f"/v1/tickets/{ticket['id']}")).json() == before
            await done(lee, ticket, "escalate", {"reason": word})
            after = (await ann.get(f"/v1/tickets/{ticket['id']}")).json()
            assert after == before | {"status": "open"}
            assert word in (await lee.get(f"/v1/tickets/{ticket['id']}")).text
            for path in (f"/v1/tickets?q={word}", "/v1/tickets", f"/v1/tickets/{ticket['id']}"):
                for client in (ann, visiting, erp):
                    assert word not in (await client.get(path)).text.replace(f"q={word}", "")
            assert (await lee.get(f"/v1/tickets?q={word}")).json()["items"] == []
        assert all(word not in str(one) for one in await desk.events(ticket["id"]))

    async def test_are_written_by_the_company_alone(self, desk: Help) -> None:
        acme = await desk.acme()
        async with desk.contact(acme) as ann, desk.visitor(acme) as visiting, desk.program(acme.id) as erp:
            ticket = await opened(ann)
            for client in (ann, visiting, erp):
                body = {"text": "mine", "internal": True}
                assert (await client.post(f"/v1/tickets/{ticket['id']}/replies", json=body)).status_code == 403

    async def test_do_not_exist_for_the_portal_role(self, desk: Help) -> None:
        acme = await desk.acme()
        async with desk.contact(acme) as ann, desk.staff(acme.manager) as lee:
            ticket = await opened(ann)
            await said(lee, ticket, "secret", internal=True)
        sql = "SELECT what FROM ticket_events WHERE ticket_id = $1 ORDER BY place"
        assert [row["what"] for row in await desk.running.pool.fetch(sql, ticket["id"])] == ["asked", "noted"]
        async with await open_portal(desk.database.api_url, size=1, application="test") as portal:
            rows = await OfCustomer(portal, acme.id).fetch(sql, ticket["id"])
            assert [row["what"] for row in rows] == ["asked"]


class TestCallers:
    async def test_company_names_the_customer(self, desk: Help) -> None:
        acme = await desk.acme()
        async with desk.staff(acme.manager) as lee:
            nobody = await lee.post("/v1/tickets", json=NEW, headers={"Idempotency-Key": new_id()})
            assert (nobody.status_code, nobody.json()["errors"][0]["field"]) == (422, "customer_id")
            ticket = await opened(lee, customer_id=acme.id)
        assert ticket["status"] == "waiting_for_you"

    async def test_visit_writes_for_the_customer(self, desk: Help) -> None:
        acme = await desk.acme()
        async with desk.visitor(acme) as visiting, desk.contact(acme) as ann:
            ticket = await opened(visiting)
            author = ticket["events"][0]["by"]
            assert (author["side"], author["kind"], author["on_behalf"]) == ("customer", "staff", True)
            replied = await said(visiting, await opened(ann), "For Ann.")
            assert replied["status"] == "new"
            for what in ("solve", "close", "reopen"):
                assert (await visiting.post(f"/v1/tickets/{ticket['id']}/{what}")).status_code == 403
        headers = await desk.running.pool.fetchval("SELECT headers FROM outbox WHERE aggregate = $1", ticket["id"])
        assert f'"actingfor":"{acme.id}"' in headers
        assert f'"actor":"staff:{acme.manager}"' in headers

    async def test_things_of_another_are_not_there(self, desk: Help) -> None:
        acme, other = await desk.acme(), await desk.acme()
        async with desk.contact(acme) as ann, desk.contact(other) as stranger:
            ticket = await opened(ann)
            path = f"/v1/tickets/{ticket['id']}"
            assert (await stranger.get(path)).status_code == 404
            for what in ("solve", "close", "reopen"):
                assert (await stranger.post(f"{path}/{what}")).status_code == 404
            assert (await stranger.post(f"{path}/replies", json={"text": "mine"})).status_code == 404
            assert (await stranger.get(f"/v1/tickets?customer_id={acme.id}")).status_code == 404
            assert (await stranger.get("/v1/tickets")).json()["items"] == []

    @pytest.mark.parametrize("name", ["invoice", "payment"])
    async def test_ids_of_another_are_refused(self, desk: Help, name: str) -> None:
        acme, other = await desk.acme(), await desk.acme()
        async with desk.contact(acme) as ann:
            answers = [
                await ann.post("/v1/tickets", json=NEW | {f"{name}_id": one}, headers={"Idempotency-Key": new_id()})
                for one in (getattr(other, name), new_id())
            ]
        assert [one.status_code for one in answers] == [422, 422]
        assert answers[0].json()["detail"] == answers[1].json()["detail"] == f"The customer has no such {name}."

    async def test_what_was_just_made_is_waited_for(self, desk: Help) -> None:
        acme = await desk.acme()
        issued = invoice(acme.id, "INV-LATE")
        async with desk.contact(acme) as ann:
            asking = asyncio.create_task(opened(ann, invoice_id=issued.invoice_id))
            await asyncio.sleep(0.2)
            await desk.hear(issued)
            assert (await asking)["invoice_number"] == "INV-LATE"


class TestIdempotencyKeys:
    async def test_same_request_opens_one_ticket(self, desk: Help) -> None:
        acme, key = await desk.acme(), new_id()
        async with desk.contact(acme) as ann:
            made = await asyncio.gather(*(opened(ann, key) for _ in range(5)))
            assert len({one["id"] for one in made}) == 1
            assert len((await ann.get("/v1/tickets")).json()["items"]) == 1
            other = await ann.post("/v1/tickets", json=NEW | {"subject": "x"}, headers={"Idempotency-Key": key})
            assert other.json()["type"] == "urn:paidup:problem:idempotency-key-reused"
            missing = await ann.post("/v1/tickets", json=NEW)
            assert missing.json()["type"] == "urn:paidup:problem:idempotency-key-missing"

    async def test_same_reply_is_written_once(self, desk: Help) -> None:
        acme, key = await desk.acme(), new_id()
        async with desk.contact(acme) as ann:
            ticket = await opened(ann)
            path, sent = f"/v1/tickets/{ticket['id']}/replies", {"Idempotency-Key": key}
            for _ in range(2):
                answer = await ann.post(path, json={"text": "Once"}, headers=sent)
            assert answer.headers["Idempotent-Replayed"] == "true"
            assert thread((await ann.get(f"/v1/tickets/{ticket['id']}")).json()) == ["asked", "replied"]

    async def test_keys_of_two_contacts_never_meet(self, desk: Help) -> None:
        acme, key = await desk.acme(), new_id()
        bea = await desk.person_of(acme.id, "Bea")
        async with desk.contact(acme) as ann, desk.contact(acme, bea) as other:
            assert (await opened(ann, key))["id"] != (await opened(other, key))["id"]

    async def test_keys_of_two_visits_never_meet(self, desk: Help) -> None:
        acme, key = await desk.acme(), new_id()
        other = await desk.acme()
        other.manager = acme.manager
        async with desk.visitor(acme) as one, desk.visitor(other) as two, desk.staff(acme.manager) as lee:
            made = [await opened(client, key) for client in (one, two)]
            assert [each["customer_id"] for each in made] == [acme.id, other.id]
            await said(lee, made[0], "A secret.", internal=True)
            path, sent = f"/v1/tickets/{made[0]['id']}/replies", {"Idempotency-Key": key}
            answers = [await client.post(path, json={"text": "Hello"}, headers=sent) for client in (lee, one, two)]
        assert [each.status_code for each in answers] == [201, 201, 404]
        assert "A secret." in answers[0].text
        assert "A secret." not in answers[1].text

    async def test_no_thread_is_kept_under_them(self, desk: Help) -> None:
        acme, key, word = await desk.acme(), new_id(), f"word{new_id()}"
        async with desk.contact(acme) as ann:
            ticket = await opened(ann, key, details=word)
            await said(ann, ticket, "More.")
            again = await opened(ann, key, details=word)
        assert thread(again) == ["asked", "replied"]
        kept = await desk.running.pool.fetchval("SELECT body FROM idempotency_keys WHERE key = $1", key)
        assert json.loads(kept) == {"id": ticket["id"]}


class TestSubjects:
    @pytest.mark.parametrize("mark", ["\r", "\n", "\r\nBcc: x@example.com", "\x00", "\x1b", "\x7f", "\x85", "\u2028"])
    async def test_of_several_lines_are_refused(self, desk: Help, mark: str) -> None:
        acme = await desk.acme()
        async with desk.contact(acme) as ann:
            body = NEW | {"subject": f"Two{mark}boxes"}
            answer = await ann.post("/v1/tickets", json=body, headers={"Idempotency-Key": new_id()})
        assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "subject")

    async def test_other_letters_are_taken(self, desk: Help) -> None:
        acme = await desk.acme()
        async with desk.contact(acme) as ann:
            assert (await opened(ann, subject="Dos cajas – ¿dónde? 箱"))["subject"] == "Dos cajas – ¿dónde? 箱"


class TestAssigning:
    async def test_gives_it_to_one_of_the_company(self, desk: Help) -> None:
        acme = await desk.acme()
        kim = await desk.person("Kim Oh")
        async with desk.contact(acme) as ann, desk.staff(acme.manager) as lee:
            ticket = await opened(ann)
            given = await done(lee, ticket, "assign", {"assignee": kim})
            assert (given["assignee_name"], given["status"]) == ("Kim Oh", "open")
            for wrong in (acme.contact, new_id(), "Kim"):
                answer = await lee.post(f"/v1/tickets/{ticket['id']}/assign", json={"assignee": wrong})
                assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "assignee")
            assert (await done(lee, ticket, "assign", {"assignee": None}))["assignee"] is None
            assert (await ann.post(f"/v1/tickets/{ticket['id']}/assign", json={"assignee": kim})).status_code == 403


class TestQuestions:
    async def test_go_to_the_account_manager(self, desk: Help) -> None:
        acme = await desk.acme()
        async with desk.contact(acme) as ann:
            answer = await ann.post(f"/v1/invoices/{acme.invoice}/questions", json={"text": "Why two lines?"})
        ticket = answer.json()
        assert (answer.status_code, ticket["kind"], ticket["status"]) == (201, "question", "new")
        assert (ticket["assignee"], ticket["invoice_id"]) == (acme.manager, acme.invoice)
        (notice,) = await desk.notices(ticket["id"])
        assert (notice["about"], notice["to"], notice["text"]) == ("opened", [acme.manager], "Why two lines?")

    async def test_program_asks_for_the_customer(self, desk: Help) -> None:
        acme = await desk.acme()
        async with desk.program() as key, desk.staff(acme.manager) as lee:
            ticket = (await key.post(f"/v1/invoices/{acme.invoice}/questions", json={"text": "Why two lines?"})).json()
            asked = {"status": "waiting_for_us", "customer_id": acme.id}
            (waiting,) = (await lee.get("/v1/tickets", params=asked)).json()["items"]
            answered = await said(lee, ticket, "Two boxes.")
        assert (ticket["status"], ticket["assignee"], waiting["id"]) == ("new", acme.manager, ticket["id"])
        by = ticket["events"][0]["by"]
        assert (by["side"], by["kind"], answered["status"]) == ("customer", "system", "waiting_for_you")
        found = [(one["about"], one["to"]) for one in await desk.notices(ticket["id"])]
        assert found == [("opened", [acme.manager]), ("from_company", [])]

    @pytest.mark.parametrize("called", ["id", "name"])
    async def test_manager_is_known_by_id_or_name(self, desk: Help, called: str) -> None:
        name = f"Only {new_id()}"
        manager = await desk.person(name)
        acme = await desk.acme(account_manager=manager if called == "id" else name.upper())
        async with desk.contact(acme) as ann:
            answer = await ann.post(f"/v1/invoices/{acme.invoice}/questions", json={"text": "Why?"})
        assert answer.json()["assignee"] == manager

    async def test_invoice_of_another_is_not_there(self, desk: Help) -> None:
        acme, other = await desk.acme(), await desk.acme()
        async with desk.contact(acme) as ann:
            answer = await ann.post(f"/v1/invoices/{other.invoice}/questions", json={"text": "Mine?"})
            assert answer.status_code == 404


class TestNotices:
    async def test_answer_goes_to_who_asked(self, desk: Help) -> None:
        acme = await desk.acme()
        await desk.person_of(acme.id, "Bea")
        async with desk.contact(acme) as ann, desk.staff(acme.manager) as lee:
            ticket = await opened(ann)
            await said(lee, ticket, "It comes today.")
            await said(ann, ticket, "It came.")
        found = [(one["about"], one["to"], one["by"], one["text"]) for one in await desk.notices(ticket["id"])]
        assert found == [
            ("opened", [acme.manager], "Ann Ng", NEW["details"]),
            ("from_company", [acme.contact], "Lee Roy", "It comes today."),
            ("from_customer", [acme.manager], "Ann Ng", "It came."),
        ]

    async def test_company_writes_to_all_contacts_first(self, desk: Help) -> None:
        acme = await desk.acme()
        async with desk.staff(acme.manager) as lee:
            ticket = await opened(lee, customer_id=acme.id)
        assert [(one["about"], one["to"]) for one in await desk.notices(ticket["id"])] == [("from_company", [])]

    async def test_program_opens_tickets_as_the_company(self, desk: Help) -> None:
        acme = await desk.acme()
        async with desk.program() as key:
            ticket = await opened(key, customer_id=acme.id)
        assert (ticket["status"], ticket["events"][0]["by"]["side"]) == ("waiting_for_you", "company")
        assert [(one["about"], one["to"]) for one in await desk.notices(ticket["id"])] == [("from_company", [])]

    async def test_disabled_contact_is_not_who_asked(self, desk: Help) -> None:
        acme = await desk.acme()
        gone = await desk.person_of(acme.id, "Gone", enabled=False)
        async with desk.contact(acme, gone) as left, desk.staff(acme.manager) as lee:
            ticket = await opened(left)
            await said(lee, ticket, "Anybody there?")
        assert (await desk.notices(ticket["id"]))[-1]["to"] == []
