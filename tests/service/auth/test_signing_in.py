"""People sign in on a real PostgreSQL: codes, passwords, invitations, links, visits. No gateway, no Kafka."""

import asyncio
import json
import pathlib
from collections.abc import AsyncIterator
from datetime import datetime
from typing import Any

import asyncpg
import pytest

from auth.links.handlers import make_links
from auth.people.domain import ROLE_SCOPES
from auth.signin.domain import CODES, FAILURES_AN_HOUR, GUESSES_A_CODE, GUESSES_A_DAY, RESET
from auth.signin.entering import enter as enter_session
from auth.signin.entering import send_link
from auth.signin.jobs import prune
from chassis.http.identity import TokenVerifier
from chassis.messaging.records import Received
from chassis.messaging.work import Cause
from contracts.colours import DARK_SHEET, contrast
from contracts.ids import new_id
from contracts.invoicing import InvoiceIssued
from tests.kit.postgres import drop_database, fresh_database
from tests.kit.signing_in import BROWSER, SESSION, Auth, Browser, opened, person_of, running_auth, staff

CONTRACTS = pathlib.Path(__file__).parents[3] / "contracts/examples"
GOOD = "correct horse battery staple rides"
WAITING = """
SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND cardinality(pg_blocking_pids(pid)) > 0
"""
OTHER = "nine purple umbrellas beside a tractor"


@pytest.fixture(scope="module")
async def auth(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Auth]:
    database = await fresh_database("auth")
    async with running_auth(tmp_path_factory.mktemp("auth"), database) as running:
        yield running
    await drop_database(database)


@pytest.fixture
async def fresh(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Auth]:
    """Auth on a database of its own, for tests that count."""
    database = await fresh_database("auth")
    async with running_auth(tmp_path_factory.mktemp("auth"), database) as running:
        yield running
    await drop_database(database)


def address() -> str:
    return f"ana.{new_id()[-12:]}@example.com"


def issued_to(customer: str) -> InvoiceIssued:
    kept = InvoiceIssued.model_validate_json((CONTRACTS / "InvoiceIssued.json").read_text())
    return kept.model_copy(update={"customer_id": customer, "invoice_id": new_id()})


def other_than(code: str) -> str:
    return f"{(int(code) + 1) % CODES:06d}"


async def guess(browser: Browser, code: str) -> int:
    return (await browser.ask("POST", "/v1/sign-in/codes/verify", {"code": code})).status_code


class TestCode:
    async def test_signs_in_the_contact_who_asked(self, auth: Auth) -> None:
        email = address()
        customer = await auth.customer_named("Blue Fern Bakery")
        contact, browser = await auth.contact(email, customer, name="Ana Díaz"), auth.browser()
        view = await browser.sign_in(f"  {email.upper()} ".strip(), contact)
        assert view["kind"] == "contact"
        assert view["contact"] == {"id": contact, "email": email, "name": "Ana Díaz", "language": "en"}
        assert view["customer"] == {"id": customer, "name": "Blue Fern Bakery"}
        assert view["csrf"] == "1"
        assert auth.settings.public_keys
        token = (await browser.exchange("payments")).json()
        identity = TokenVerifier(auth.settings.public_keys, "payments").verify(token["token"])
        assert (identity.kind, identity.subject, identity.customer_id) == ("contact", contact, customer)
        again = (await browser.ask("GET", "/v1/session")).json()
        assert {**again, "expires_at": ""} == {**view, "expires_at": ""}

    async def test_may_be_typed_with_blanks(self, auth: Auth) -> None:
        contact = await auth.contact(email := address())
        browser = auth.browser()
        await browser.ask("POST", "/v1/sign-in/codes", {"email": email})
        code = (await auth.mail(contact, "SignInCodeMade"))["code"]
        assert await guess(browser, f" {code[:3]} {code[3:]} ") == 200

    async def test_works_once(self, auth: Auth) -> None:
        contact, browser = await auth.contact(email := address()), auth.browser()
        await browser.sign_in(email, contact)
        code = (await auth.mail(contact, "SignInCodeMade"))["code"]
        del browser.cookies[SESSION]
        assert await guess(browser, code) == 401

    async def test_is_refused_after_ten_minutes(self, auth: Auth) -> None:
        contact, browser = await auth.contact(email := address()), auth.browser()
        await browser.ask("POST", "/v1/sign-in/codes", {"email": email})
        code = (await auth.mail(contact, "SignInCodeMade"))["code"]
        with auth.later(600):
            assert await guess(browser, code) == 401

    async def test_is_bound_to_its_browser(self, auth: Auth) -> None:
        contact, browser, other = await auth.contact(email := address()), auth.browser(), auth.browser()
        await browser.ask("POST", "/v1/sign-in/codes", {"email": email})
        code = (await auth.mail(contact, "SignInCodeMade"))["code"]
        assert await guess(other, code) == 401
        assert await guess(browser, code) == 200

    async def test_new_one_ends_the_one_before(self, auth: Auth) -> None:
        contact, browser = await auth.contact(email := address()), auth.browser()
        codes = []
        for number in (1, 2):
            await browser.ask("POST", "/v1/sign-in/codes", {"email": email})
            codes.append((await auth.mail(contact, "SignInCodeMade", number))["code"])
        if codes[0] != codes[1]:
            assert await guess(browser, codes[0]) == 401
        assert await guess(browser, codes[1]) == 200

    async def test_link_of_the_mail_signs_in(self, auth: Auth) -> None:
        contact, browser = await auth.contact(email := address()), auth.browser()
        await browser.ask("POST", "/v1/sign-in/codes", {"email": email})
        link = (await auth.mail(contact, "SignInCodeMade"))["link"]
        path, _, token = link.partition("#")
        assert path == "http://portal.test/login/code"
        other = await auth.browser().ask("POST", "/v1/sign-in/codes/verify", {"token": token})
        assert other.status_code == 401
        assert (await browser.ask("POST", "/v1/sign-in/codes/verify", {"token": token})).status_code == 200

    async def test_unknown_address_is_answered_alike(self, auth: Auth) -> None:
        contact = await auth.contact(email := address())
        answers = [await auth.browser().ask("POST", "/v1/sign-in/codes", {"email": one}) for one in (email, address())]
        assert {(one.status_code, one.text) for one in answers} == {(202, answers[0].text)}
        for one in answers:
            cookie = one.headers["set-cookie"]
            assert cookie.startswith(f"{BROWSER}=")
            assert {"HttpOnly", "Secure", "Path=/", "SameSite=lax"} <= set(cookie.split("; "))
        await auth.mail(contact, "SignInCodeMade")

    async def test_disabled_contact_gets_none(self, auth: Auth) -> None:
        contact = await auth.contact(email := address(), enabled=False)
        assert (await auth.browser().ask("POST", "/v1/sign-in/codes", {"email": email})).status_code == 202
        await auth.idle()
        assert await auth.mails(contact) == []


class TestGuesses:
    def test_chance_of_a_day_is_small(self) -> None:
        assert GUESSES_A_DAY / CODES <= 1e-5

    async def test_five_a_code(self, auth: Auth) -> None:
        contact, browser = await auth.contact(email := address()), auth.browser()
        await browser.ask("POST", "/v1/sign-in/codes", {"email": email})
        code = (await auth.mail(contact, "SignInCodeMade"))["code"]
        wrong = other_than(code)
        assert {await guess(browser, wrong) for _ in range(GUESSES_A_CODE)} == {401}
        assert await guess(browser, code) == 401

    async def test_left_ones_are_counted_for_any_address(self, fresh: Auth) -> None:
        contact, known, stranger = await fresh.contact(email := address()), fresh.browser(), fresh.browser()
        await known.ask("POST", "/v1/sign-in/codes", {"email": email})
        await stranger.ask("POST", "/v1/sign-in/codes", {"email": address()})
        code = other_than((await fresh.mail(contact, "SignInCodeMade"))["code"])
        for browser in (known, stranger):
            answers = [await browser.ask("POST", "/v1/sign-in/codes/verify", {"code": code}) for _ in range(6)]
            assert [one.json()["values"]["tries_left"] for one in answers] == [4, 3, 2, 1, 0, 0]
        assert "1 try is left" in answers[3].json()["detail"]
        assert "No tries are left" in answers[4].json()["detail"]

    async def test_nine_a_day_from_parallel_browsers(self, fresh: Auth) -> None:
        contact = await fresh.contact(email := address())
        browsers = [fresh.browser(f"192.0.2.{number}") for number in range(6)]
        for number, browser in enumerate(browsers, 1):
            await browser.ask("POST", "/v1/sign-in/codes", {"email": email})
            code = (await fresh.mail(contact, "SignInCodeMade", number))["code"]
            await asyncio.gather(*(guess(browser, other_than(code)) for _ in range(8)))
        pool = fresh.running.pool
        assert await pool.fetchval("SELECT sum(guesses) FROM sign_ins") <= GUESSES_A_DAY
        assert await guess(browsers[-1], code) == 401
        link = (await fresh.mail(contact, "SignInCodeMade"))["link"]  # has too many bits to be guessed
        token = link.partition("#")[2]
        assert (await browsers[-1].ask("POST", "/v1/sign-in/codes/verify", {"token": token})).status_code == 200

    async def test_known_device_has_its_own(self, fresh: Auth) -> None:
        contact, own, stranger = await fresh.contact(email := address()), fresh.browser(), fresh.browser()
        await own.sign_in(email, contact)
        for number in (2, 3):
            await stranger.ask("POST", "/v1/sign-in/codes", {"email": email})
            code = (await fresh.mail(contact, "SignInCodeMade", number))["code"]
            for _ in range(GUESSES_A_CODE):
                assert await guess(stranger, other_than(code)) == 401
        await own.ask("POST", "/v1/sign-in/codes", {"email": email})
        mine = (await fresh.mail(contact, "SignInCodeMade", 4))["code"]
        await stranger.ask("POST", "/v1/sign-in/codes", {"email": email})  # does not end the own one
        await fresh.mail(contact, "SignInCodeMade", 5)
        assert await guess(own, mine) == 200

    async def test_right_ones_are_not_counted(self, fresh: Auth) -> None:
        contact, browser = await fresh.contact(email := address()), fresh.browser()
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(
                "auth.signin.store.WANTED",
                "SELECT $1::bytea = $1 AND $2::bytea = $2 AND $3 < $4::timestamptz AND $5::bytea = $5 OR true",
            )
            for _ in range(GUESSES_A_DAY + 2):
                browser.cookies.pop(SESSION, None)
                await browser.sign_in(email, contact)

    async def test_spraying_client_is_stopped(self, fresh: Auth) -> None:
        contact, sprayer = await fresh.contact(email := address()), "198.51.100.7"
        answers = [
            (await fresh.browser(sprayer).ask("POST", "/v1/sign-in/codes", {"email": address()})).status_code
            for _ in range(FAILURES_AN_HOUR + 5)
        ]
        assert answers == [202] * FAILURES_AN_HOUR + [429] * 5
        refused = await fresh.browser(sprayer).ask(
            "POST", "/v1/sign-in/password", {"email": email, "password": "whatever it may be"}
        )
        assert (refused.status_code, refused.headers["retry-after"]) == (429, "3600")
        await fresh.browser("198.51.100.8").sign_in(email, contact)  # nobody else is locked out
        with fresh.later(3600):
            assert (await fresh.browser(sprayer).ask("POST", "/v1/sign-in/codes", {"email": email})).status_code == 202


async def registered(auth: Auth, email: str, password: str = GOOD) -> tuple[str, Browser]:
    """A contact who was invited, registered and confirmed."""
    contact, browser = await auth.contact(email), auth.browser()
    async with auth.program() as program:
        assert (await program.post(f"/v1/contacts/{contact}/invitations")).status_code == 202
    invitation = token_of(await auth.mail(contact, "InvitationMade"), "/invite/")
    answer = await browser.ask("POST", "/v1/registrations", {"token": invitation, "password": password})
    assert answer.status_code == 202, answer.text
    confirmation = token_of(await auth.mail(contact, "ConfirmationMade"), "/confirm/")
    assert (await browser.ask("POST", "/v1/registrations/confirm", {"token": confirmation})).status_code == 204
    return contact, browser


def token_of(mail: dict[str, Any], path: str) -> str:
    assert mail["link"].startswith(f"http://portal.test{path}")
    return str(mail["link"].rpartition("/")[2])


async def enter(browser: Browser, email: str, password: str) -> int:
    browser.cookies.pop(SESSION, None)
    return (await browser.ask("POST", "/v1/sign-in/password", {"email": email, "password": password})).status_code


class TestInvitation:
    async def test_leads_to_a_password(self, auth: Auth) -> None:
        _, browser = await registered(auth, email := address())
        assert await enter(browser, email, GOOD) == 200
        assert await enter(browser, email, GOOD + "!") == 401

    async def test_password_needs_the_second_mail(self, auth: Auth) -> None:
        contact, browser = await auth.contact(email := address()), auth.browser()
        async with auth.program() as program:
            await program.post(f"/v1/contacts/{contact}/invitations")
        token = token_of(await auth.mail(contact, "InvitationMade"), "/invite/")
        await browser.ask("POST", "/v1/registrations", {"token": token, "password": GOOD})
        assert await enter(browser, email, GOOD) == 401

    async def test_ends_after_72_hours_and_is_resent(self, auth: Auth) -> None:
        contact, browser = await auth.contact(address()), auth.browser()
        async with auth.program() as program:
            await program.post(f"/v1/contacts/{contact}/invitations")
            first = await auth.mail(contact, "InvitationMade")
            made = datetime.fromisoformat(first["expires_at"]).timestamp() - 259_200
            body = {"token": token_of(first, "/invite/"), "password": GOOD}
            ahead = made - datetime.now().astimezone().timestamp()
            with auth.later(259_200 + ahead):
                assert (await browser.ask("POST", "/v1/registrations", body)).status_code == 410
            with auth.later(259_200 + ahead - 5):
                assert (await browser.ask("POST", "/v1/registrations", body)).status_code == 202
            await program.post(f"/v1/contacts/{contact}/invitations")
        second = await auth.mail(contact, "InvitationMade", 2)
        assert (await browser.ask("POST", "/v1/registrations", body)).status_code == 410
        body["token"] = token_of(second, "/invite/")
        assert (await browser.ask("POST", "/v1/registrations", body)).status_code == 202

    @pytest.mark.parametrize(
        "password",
        ["short", "passwordpassword", "abcdefghijklmnop", "qwertyuiopasdfghjkl", "aaaaaaaaaaaaaaaaaaaa", "x" * 129],
    )
    async def test_weak_password_is_refused(self, auth: Auth, password: str) -> None:
        contact, browser = await auth.contact(address()), auth.browser()
        async with auth.program() as program:
            await program.post(f"/v1/contacts/{contact}/invitations")
        token = token_of(await auth.mail(contact, "InvitationMade"), "/invite/")
        answer = await browser.ask("POST", "/v1/registrations", {"token": token, "password": password})
        assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "password")


class TestPassword:
    async def test_forgotten_one_is_replaced(self, auth: Auth) -> None:
        contact, browser = await registered(auth, email := address())
        assert await enter(browser, email, GOOD) == 200
        assert (await auth.browser().ask("POST", "/v1/password/forgot", {"email": email})).status_code == 202
        token = token_of(await auth.mail(contact, "PasswordResetMade"), "/reset/")
        with auth.later(1800):
            late = await auth.browser().ask("POST", "/v1/password/reset", {"token": token, "password": OTHER})
            assert late.status_code == 410
        for status in (204, 410):
            answer = await auth.browser().ask("POST", "/v1/password/reset", {"token": token, "password": OTHER})
            assert answer.status_code == status
        assert (await browser.exchange()).status_code == 401  # the session from before
        assert await enter(browser, email, GOOD) == 401
        assert await enter(browser, email, OTHER) == 200

    async def test_change_ends_other_sessions(self, auth: Auth) -> None:
        _, browser = await registered(auth, email := address())
        other = auth.browser()
        assert await enter(browser, email, GOOD) == await enter(other, email, GOOD) == 200
        assert (await browser.ask("PUT", "/v1/password", {"password": OTHER})).status_code == 204
        assert (await other.exchange()).status_code == 401
        assert (await browser.exchange()).status_code == 200

    async def test_change_needs_a_fresh_proof(self, auth: Auth) -> None:
        contact, browser = await registered(auth, email := address())
        assert await enter(browser, email, GOOD) == 200
        with auth.later(1200):
            assert (await browser.exchange()).status_code == 200
        with auth.later(1801):
            refused = await browser.ask("PUT", "/v1/password", {"password": OTHER})
            assert (refused.status_code, refused.json()["type"][-16:]) == (403, "step-up-required")
            assert (await browser.ask("POST", "/v1/session/step-up", {})).status_code == 202
            mail = await auth.mail(contact, "SignInCodeMade")
            code, before = mail["code"], browser.cookies[SESSION]
            assert "link" not in mail  # it would sign in, and answer 401
            assert (await browser.ask("POST", "/v1/session/step-up", {"code": code})).status_code == 200
            assert browser.cookies[SESSION] != before
            assert (await browser.ask("PUT", "/v1/password", {"password": OTHER})).status_code == 204


class TestSession:
    async def test_idles_for_half_an_hour(self, auth: Auth) -> None:
        contact, browser = await auth.contact(email := address()), auth.browser()
        await browser.sign_in(email, contact)
        for seconds in (1700, 3400):
            with auth.later(seconds):
                assert (await browser.exchange()).status_code == 200
        with auth.later(3400 + 1805):
            assert (await browser.exchange()).status_code == 401

    async def test_open_stream_does_not_count_as_use(self, auth: Auth) -> None:
        contact, browser = await auth.contact(email := address()), auth.browser()
        await browser.sign_in(email, contact)
        with auth.later(1700):
            assert (await browser.exchange("gateway")).status_code == 200
        with auth.later(1810):
            assert (await browser.exchange("gateway")).status_code == 401

    async def test_lasts_twelve_hours_at_most(self, auth: Auth) -> None:
        contact, browser = await auth.contact(email := address()), auth.browser()
        await browser.sign_in(email, contact)
        for seconds in range(1700, 12 * 3600, 1700):
            with auth.later(seconds):
                assert (await browser.exchange()).status_code == 200
        with auth.later(12 * 3600):
            assert (await browser.exchange()).status_code == 401

    async def test_ends_by_signing_out(self, auth: Auth) -> None:
        contact, browser = await auth.contact(email := address()), auth.browser()
        await browser.sign_in(email, contact)
        kept = dict(browser.cookies)
        assert (await browser.ask("DELETE", "/v1/session")).status_code == 204
        assert SESSION not in browser.cookies
        browser.cookies = kept
        assert (await browser.exchange()).status_code == 401

    async def test_others_are_listed_and_ended(self, auth: Auth) -> None:
        contact, first, second = await auth.contact(email := address()), auth.browser(), auth.browser("192.0.2.9")
        await first.sign_in(email, contact)
        await second.sign_in(email, contact)
        assert (await auth.mail(contact, "NewDeviceSeen"))["device"] == "Firefox on Linux"
        items = (await first.ask("GET", "/v1/sessions")).json()["items"]
        assert [(one["device"], one["this"]) for one in items] == [
            ("Firefox on Linux", False),
            ("Firefox on Linux", True),
        ]
        assert (await first.ask("DELETE", f"/v1/sessions/{items[0]['id']}")).status_code == 204
        assert (await second.exchange()).status_code == 401
        assert (await first.ask("DELETE", f"/v1/sessions/{items[0]['id']}")).status_code == 404

    async def test_address_of_two_customers_switches(self, auth: Auth) -> None:
        email, browser = address(), auth.browser()
        blue, red = await auth.customer_named("Blue"), await auth.customer_named("Red")
        contacts = [await auth.contact(email, customer) for customer in (blue, red)]
        view = await browser.sign_in(email, contacts[0])
        assert view["customer"]["name"] == "Blue"
        assert view["others"] == [{"contact_id": contacts[1], "customer": {"id": red, "name": "Red"}}]
        answer = await browser.ask("POST", "/v1/session/switch", {"contact_id": contacts[1]})
        assert answer.json()["customer"]["name"] == "Red"
        stranger = await auth.contact(address())
        assert (await browser.ask("POST", "/v1/session/switch", {"contact_id": stranger})).status_code == 404

    async def test_disabled_contact_is_refused(self, auth: Auth) -> None:
        contact, browser = await auth.contact(email := address()), auth.browser()
        await browser.sign_in(email, contact)
        async with auth.program() as program:
            answer = await program.patch(f"/v1/contacts/{contact}", json={"enabled": False})
            assert answer.json()["enabled"] is False
        assert (await browser.exchange()).status_code == 401
        ended = "SELECT count(*) FROM outbox WHERE type = 'CredentialEnded' AND headers LIKE '%' || $1 || '%'"
        customer = answer.json()["customer_id"]
        assert await auth.running.pool.fetchval(ended, customer) == 1


class TestWhoSignsIn:
    async def test_foreign_contact_changes_nothing_for_staff(self, auth: Auth) -> None:
        email, browser = address(), auth.browser()
        person = await staff(auth, email)
        await auth.contact(email)
        assert (await browser.sign_in(email, person))["kind"] == "staff"

    async def test_last_customer_goes_before_newer_contacts(self, auth: Auth) -> None:
        email, browser = address(), auth.browser()
        own = await auth.customer_named("Blue")
        first = await auth.contact(email, own)
        await auth.contact(email)
        assert (await browser.sign_in(email, first))["customer"]["id"] == own

    async def test_switching_keeps_the_end(self, auth: Auth) -> None:
        email, browser = address(), auth.browser()
        contacts = [await auth.contact(email), await auth.contact(email)]
        view = await browser.sign_in(email, contacts[0])
        with auth.later(1200):
            switched = await browser.ask("POST", "/v1/session/switch", {"contact_id": contacts[1]})
        assert switched.json()["ends_at"] == view["ends_at"]

    async def test_disabled_meanwhile_is_refused(self, auth: Auth) -> None:
        """Who is disabled between the code and the session gets none."""
        contact = await auth.contact(address())
        person = await person_of(auth, contact)
        own, units = auth.running.own, auth.running.units
        async with auth.program() as program:
            await program.patch(f"/v1/contacts/{contact}", json={"enabled": False})
        async with units.begin() as work:
            assert await enter_session(work, own, person, browser=b"b" * 32, user_agent="", proved_at=work.now) is None

    async def test_old_password_is_refused_while_changed(self, auth: Auth) -> None:
        """The change commits between the check of the old password and the session: no session comes of it."""
        contact, browser = await registered(auth, email := address())
        thief = auth.browser("192.0.2.77")
        assert await enter(browser, email, GOOD) == 200
        async with auth.running.pool.acquire() as connection, connection.transaction():
            await connection.execute("SELECT FROM people WHERE id = $1 FOR UPDATE", contact)
            entering = asyncio.create_task(enter(thief, email, GOOD))
            await until_waiting(auth)
            assert (await browser.ask("PUT", "/v1/password", {"password": OTHER})).status_code == 204
        assert await entering == 401

    async def test_older_reset_link_ends_for_all_contacts(self, auth: Auth) -> None:
        email = address()
        first, second = await auth.contact(email), await auth.contact(email)
        tokens = []
        for person in (first, second):
            async with auth.running.units.begin() as work:
                found = await person_of(auth, person)
                await send_link(work, auth.running.own, found, "reset", RESET)
            tokens.append(token_of(await auth.mail(person, "PasswordResetMade"), "/reset/"))
        statuses = [
            (await auth.browser().ask("POST", "/v1/password/reset", {"token": one, "password": GOOD})).status_code
            for one in tokens[::-1]
        ]
        assert statuses == [204, 410]


async def until_waiting(auth: Auth) -> None:
    """Until a statement waits for a lock of another."""
    waiting = (
        "SELECT count(*) FROM pg_locks WHERE locktype = 'tuple'"
        " AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
    )
    async with asyncio.timeout(10):
        while not await auth.running.pool.fetchval(waiting):  # noqa: ASYNC110
            await asyncio.sleep(0.02)


class TestPruning:
    async def test_forgets_old_requests_and_guesses(self, fresh: Auth) -> None:
        contact, browser = await fresh.contact(email := address()), fresh.browser()
        await browser.ask("POST", "/v1/sign-in/codes", {"email": email})
        code = (await fresh.mail(contact, "SignInCodeMade"))["code"]
        await guess(browser, other_than(code))
        with fresh.later(40 * 86_400):
            await prune(fresh.running)
        left = [
            await fresh.running.pool.fetchval(f"SELECT count(*) FROM {one}")
            for one in ("sign_ins", "guesses", "failed_tries")
        ]
        assert left == [0, 0, 0]


class TestAddress:
    @pytest.mark.parametrize("email", ["a..b@x.example", "a,b@x.example", "ü@x.example", "a\x01@x.example"])
    async def test_unmailable_one_is_refused(self, auth: Auth, email: str) -> None:
        customer = await auth.customer_named("Blue")
        async with auth.program() as program:
            answer = await program.post("/v1/contacts", json={"customer_id": customer, "email": email})
        assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "email")


class TestPayerLink:
    @staticmethod
    async def issued(auth: Auth, customer_id: str) -> str:
        """An invoice of which auth has heard; its id."""
        event = issued_to(customer_id)
        async with auth.running.units.begin() as work:
            await make_links([Received(event, new_id(), 1, b"", Cause())], work)
        return event.invoice_id

    async def test_opens_for_contacts_of_its_customer_alone(self, auth: Auth) -> None:
        customer = await auth.customer_named("Blue")
        invoice = await self.issued(auth, customer)
        contact, stranger = await auth.contact(email := address(), customer), await auth.contact(other := address())
        async with auth.program() as program:
            made = await program.post("/v1/payer-links", json={"customer_id": customer, "invoice_id": invoice})
        token = token_of({"link": made.json()["url"]}, "/i/")
        browser = auth.browser()
        assert (await browser.ask("GET", f"/v1/payer-links/{token}")).json() == {"invoice_id": invoice}
        answers = [
            await auth.browser().ask("POST", f"/v1/payer-links/{token}/codes", {"email": one})
            for one in (other, address())
        ]
        answers.append(await browser.ask("POST", f"/v1/payer-links/{token}/codes", {"email": email}))
        assert {(one.status_code, one.text) for one in answers} == {(202, answers[0].text)}
        code = (await auth.mail(contact, "SignInCodeMade"))["code"]
        view = (await browser.ask("POST", "/v1/sign-in/codes/verify", {"code": code})).json()
        assert (view["customer"]["id"], view["proof_until"]) == (customer, None)
        await auth.idle()
        assert await auth.mails(stranger) == []
        refused = await browser.ask("PUT", "/v1/password", {"password": GOOD})
        assert (refused.status_code, refused.json()["type"][-16:]) == (403, "step-up-required")

    async def test_another_customers_invoice_is_not_there(self, auth: Auth) -> None:
        mine, other = [await auth.customer_named(name) for name in ("Blue", "Green")]
        invoice = await self.issued(auth, mine)
        tries = ((mine, invoice), (other, invoice), (other, new_id()))
        async with auth.program() as program:
            answers = [
                await program.post("/v1/payer-links", json={"customer_id": customer, "invoice_id": one})
                for customer, one in tries
            ]
        assert [answer.status_code for answer in answers] == [201, 404, 404]

    async def test_asked_for_it_is_mailed_once(self, auth: Auth) -> None:
        customer = await auth.customer_named("Blue")
        invoice = await self.issued(auth, customer)
        body = {"customer_id": customer, "invoice_id": invoice, "mail": True}
        async with auth.program() as program:
            made = [
                await program.post("/v1/payer-links", json=body, headers={"Idempotency-Key": "again"}) for _ in range(2)
            ]
            nothing = await program.post("/v1/payer-links", json={"customer_id": customer, "mail": True})
        assert {answer.status_code for answer in made} == {201}
        assert (nothing.status_code, nothing.json()["errors"][0]["field"]) == (422, "invoice_id")
        rows = await auth.running.pool.fetch("SELECT payload FROM outbox WHERE type = 'PayerLinkMade'")
        (said,) = [one for one in (json.loads(row["payload"]) for row in rows) if one["invoice_id"] == invoice]
        assert said["about"] == "invoice_issued"
        assert opened(auth.folder, said["sealed"]) == {"link": made[0].json()["url"]}

    async def test_revoked_or_unknown_one_has_ended(self, auth: Auth) -> None:
        customer = await auth.customer_named("Blue")
        invoice = await self.issued(auth, customer)
        async with auth.program() as program:
            made = await program.post("/v1/payer-links", json={"customer_id": customer, "invoice_id": invoice})
            assert (await program.delete(f"/v1/payer-links?invoice_id={invoice}")).status_code == 204
        token = token_of({"link": made.json()["url"]}, "/i/")
        for one in (token, "A" * 22):
            assert (await auth.browser().ask("GET", f"/v1/payer-links/{one}")).status_code == 410


class TestContact:
    async def test_program_changes_it(self, auth: Auth) -> None:
        contact = await auth.contact(address())
        async with auth.program("contacts:write") as program:
            answer = await program.patch(f"/v1/contacts/{contact}", json={"name": "Ann", "enabled": False})
        assert (answer.status_code, answer.json()["name"], answer.json()["enabled"]) == (200, "Ann", False)
        async with auth.program("contacts:read") as reader:
            assert (await reader.patch(f"/v1/contacts/{contact}", json={"name": "Eve"})).status_code == 403

    async def test_other_address_signs_in_anew(self, auth: Auth) -> None:
        contact, browser = await registered(auth, email := address())
        assert await enter(browser, email, GOOD) == 200
        async with auth.program("contacts:write") as program:
            answer = await program.patch(f"/v1/contacts/{contact}", json={"email": (new := address())})
        assert (answer.status_code, answer.json()["email"]) == (200, new)
        assert (await browser.exchange()).status_code == 401
        assert await enter(browser, email, GOOD) == 401
        later = auth.browser()
        await later.ask("POST", "/v1/sign-in/codes", {"email": new})
        code = (await auth.mail(contact, "SignInCodeMade"))["code"]
        assert await guess(later, code) == 200

    async def test_address_of_another_contact_is_refused(self, auth: Auth) -> None:
        customer = await auth.customer_named("Blue")
        taken = address()
        await auth.contact(taken, customer)
        contact = await auth.contact(email := address(), customer)
        async with auth.program("contacts:write") as program:
            answer = await program.patch(f"/v1/contacts/{contact}", json={"email": taken, "name": "Ann"})
        assert (answer.status_code, answer.json()["type"][-11:]) == (409, "email-taken")
        kept = await auth.running.pool.fetchrow("SELECT email, name FROM people WHERE id = $1", contact)
        assert tuple(kept) == (email, None)

    async def test_own_address_is_not_theirs_to_change(self, auth: Auth) -> None:
        contact, browser = await auth.contact(email := address()), auth.browser()
        await browser.sign_in(email, contact)
        answer = await browser.ask("PATCH", f"/v1/contacts/{contact}", {"email": address()})
        assert answer.status_code == 403


class TestErasure:
    async def test_forgets_name_address_and_password(self, auth: Auth) -> None:
        contact, browser = await registered(auth, email := address())
        assert await enter(browser, email, GOOD) == 200
        async with auth.program() as program:
            assert (await program.delete(f"/v1/contacts/{contact}")).status_code == 204
            assert (await program.patch(f"/v1/contacts/{contact}", json={"name": "x"})).status_code == 404
        assert (await browser.exchange()).status_code == 401
        assert await enter(browser, email, GOOD) == 401
        row = await auth.running.pool.fetchrow("SELECT email, name, account FROM people WHERE id = $1", contact)
        assert tuple(row) == (None, None, None)
        last = await auth.running.pool.fetchrow(
            "SELECT type, payload FROM outbox WHERE aggregate = $1 AND topic = 'auth.contact.v1' ORDER BY id DESC",
            contact,
        )
        assert tuple(last) == ("ContactErased", None)


class TestStaffRights:
    @pytest.mark.parametrize("role", ["administrator", "account_manager"])
    async def test_role_beyond_own_is_not_given(self, auth: Auth, role: str) -> None:
        async with auth.program("staff:write") as program:
            refused = await program.post("/v1/staff", json={"email": address(), "role": role})
        assert (refused.status_code, refused.json()["type"][-17:]) == (403, "beyond-own-rights")
        assert refused.json()["errors"][0]["field"] == "role"

    async def test_role_within_own_is_given(self, auth: Auth) -> None:
        async with auth.program("staff:write", *ROLE_SCOPES["account_manager"]) as program:
            made = await program.post("/v1/staff", json={"email": address(), "role": "account_manager"})
            assert made.status_code == 201, made.text
            path = f"/v1/staff/{made.json()['id']}"
            assert (await program.patch(path, json={"enabled": False})).status_code == 200
            promoted = await program.patch(path, json={"role": "administrator"})
        assert (promoted.status_code, promoted.json()["type"][-17:]) == (403, "beyond-own-rights")
        assert "scope *" in promoted.json()["detail"]

    @pytest.mark.parametrize("change", [{"role": "account_manager"}, {"enabled": False}, {"enabled": True}])
    async def test_administrator_is_beyond_a_lesser_key(self, auth: Auth, change: dict[str, Any]) -> None:
        person = await staff(auth, address())
        await staff(auth, address())  # another administrator: not the last one is the reason
        async with auth.program("staff:write", *ROLE_SCOPES["account_manager"]) as program:
            refused = await program.patch(f"/v1/staff/{person}", json=change)
        assert (refused.status_code, refused.json()["type"][-17:]) == (403, "beyond-own-rights")


class TestLastAdministrator:
    @pytest.mark.parametrize("change", [{"role": "account_manager"}, {"enabled": False}])
    async def test_stays_against_a_key_too(self, fresh: Auth, change: dict[str, Any]) -> None:
        person = await staff(fresh, address())
        await staff(fresh, address(), "account_manager")
        async with fresh.program() as program:
            refused = await program.patch(f"/v1/staff/{person}", json=change)
            assert (await program.patch(f"/v1/staff/{person}", json={"name": "Ida"})).status_code == 200
        assert (refused.status_code, refused.json()["type"][-18:]) == (409, "last-administrator")

    @pytest.mark.parametrize("change", [{"role": "account_manager"}, {"enabled": False}])
    async def test_two_at_once_leave_one(self, fresh: Auth, change: dict[str, Any]) -> None:
        people = [await staff(fresh, address()) for _ in range(2)]
        pool = fresh.running.pool
        async with fresh.program() as program, asyncio.timeout(20):
            owner = await asyncpg.connect(fresh.database.owner_url)
            try:
                async with owner.transaction():  # holds both requests until both have begun
                    await owner.execute("SELECT FROM people WHERE id = ANY($1::uuid[]) FOR UPDATE", people)
                    asked = [asyncio.create_task(program.patch(f"/v1/staff/{one}", json=change)) for one in people]
                    while await pool.fetchval(WAITING) < len(asked):  # noqa: ASYNC110
                        await asyncio.sleep(0.01)
            finally:
                await owner.close()
            answers = [await one for one in asked]
        assert sorted(one.status_code for one in answers) == [200, 409]
        left = "SELECT count(*) FROM people WHERE role = 'administrator' AND enabled"
        assert await pool.fetchval(left) == 1


class TestStaff:
    async def test_administrator_signs_in(self, auth: Auth) -> None:
        email, browser = address(), auth.browser()
        person = await staff(auth, email)
        view = await browser.sign_in(email, person)
        assert (view["kind"], view["staff"]["role"], view["customer"]) == ("staff", "administrator", None)
        assert "*" in view["scopes"]
        assert (await browser.ask("GET", "/v1/staff")).status_code == 200

    async def test_name_stands_beside_their_keys(self, auth: Auth) -> None:
        email, browser = address(), auth.browser()
        await browser.sign_in(email, await staff(auth, email))
        made = (await browser.ask("POST", "/v1/api-keys", {"name": "ERP", "scopes": ["invoices:read"]})).json()
        keys = (await browser.ask("GET", "/v1/api-keys")).json()["items"]
        assert [one["made_by_name"] for one in keys if one["id"] == made["id"]] == [email]

    async def test_account_manager_makes_no_staff(self, auth: Auth) -> None:
        email, browser = address(), auth.browser()
        await browser.sign_in(email, await staff(auth, email, "account_manager"))
        refused = await browser.ask("POST", "/v1/staff", {"email": address(), "role": "administrator"})
        assert (refused.status_code, refused.json()["type"][-13:]) == (403, "scope-missing")
        assert (await browser.ask("GET", "/v1/contacts")).status_code == 200

    async def test_other_role_signs_out(self, auth: Auth) -> None:
        email, browser = address(), auth.browser()
        person = await staff(auth, email)
        await staff(auth, address())  # an administrator remains
        await browser.sign_in(email, person)
        async with auth.program() as program:
            assert (await program.patch(f"/v1/staff/{person}", json={"role": "account_manager"})).status_code == 200
        assert (await browser.exchange()).status_code == 401

    async def test_visit_ends_with_signing_out(self, auth: Auth) -> None:
        email, browser = address(), auth.browser()
        customer = await auth.customer_named("Blue")
        await browser.sign_in(email, await staff(auth, email))
        begun = await browser.ask("POST", "/v1/visits", {"customer_id": customer, "reason": "They asked about INV-7"})
        await browser.ask("DELETE", "/v1/session")
        ended = "SELECT ended_at IS NOT NULL FROM visits WHERE id = $1"
        assert await auth.running.pool.fetchval(ended, begun.json()["id"])

    async def test_looks_as_a_customer(self, auth: Auth) -> None:
        email, browser = address(), auth.browser()
        customer = await auth.customer_named("Blue")
        contact = await auth.contact(theirs := address(), customer)
        await browser.sign_in(email, await staff(auth, email, "account_manager"))
        begun = await browser.ask("POST", "/v1/visits", {"customer_id": customer, "reason": "They asked about INV-7"})
        assert begun.status_code == 201, begun.text
        made = begun.json()
        cookie = begun.headers.get_list("set-cookie")[-1]
        assert cookie.startswith("__Secure-paidup-visit=")
        assert f"Path={made['path']}" in cookie
        payer = auth.browser("192.0.2.44")
        await payer.sign_in(theirs, contact)
        seen = (await payer.ask("GET", f"/v1/customers/{customer}/visits")).json()["items"]
        assert [(one["by"], one["reason"], one["requests"]) for one in seen] == [(email, "They asked about INV-7", 0)]
        other = await auth.customer_named("Red")
        assert (await payer.ask("GET", f"/v1/customers/{other}/visits")).status_code == 404
        assert (await payer.ask("POST", "/v1/visits", {"customer_id": other, "reason": "curious"})).status_code == 403


class TestCompany:
    async def test_settings_are_kept_and_told(self, auth: Auth) -> None:
        async with auth.program() as program:
            assert (
                await program.put("/v1/company", json={"name": "Blue", "brand_colour": "#ffff00"})
            ).status_code == 422
            answer = await program.put("/v1/company", json={"name": "Blue Ltd", "brand_colour": "#0E5358"})
            assert answer.status_code == 200, answer.text
        said = await auth.running.pool.fetchval(
            "SELECT payload FROM outbox WHERE type = 'CompanyChanged' ORDER BY id DESC"
        )
        assert b'"brand_colour":"#0e5358"' in said

    async def test_look_is_for_everybody(self, auth: Auth) -> None:
        async with auth.program() as program:
            body = {
                "name": "Blue Ltd",
                "brand_colour": "#0e5358",
                "languages": ["es"],
                "reply_address": "a@blue.example",
            }
            assert (await program.put("/v1/company", json=body)).status_code == 200
        answer = await auth.browser().ask("GET", "/v1/company/look")
        assert answer.status_code == 200, answer.text
        assert answer.headers["cache-control"] == "public, max-age=60"
        look = answer.json()
        assert (look["name"], look["languages"], look["time_zone"]) == ("Blue Ltd", ["es"], "America/New_York")
        assert look["brand_colour"] == "#0e5358"
        assert contrast(look["brand_colour_dark"], DARK_SHEET) >= 4.5
        assert contrast(look["text_on_brand_dark"], look["brand_colour_dark"]) >= 4.5
        assert look.keys().isdisjoint({"reply_address", "tax"})

    async def test_unreadable_colour_is_answered_with_a_better_one(self, auth: Auth) -> None:
        asked = await auth.browser().ask("GET", "/v1/company/look?brand_colour=%23ffff00")
        better = asked.json()["brand_colour"]
        assert better != "#ffff00"
        async with auth.program() as program:
            refused = await program.put("/v1/company", json={"name": "Blue", "brand_colour": "#ffff00"})
            assert better in refused.json()["errors"][0]["message"]
            assert (await program.put("/v1/company", json={"name": "Blue", "brand_colour": better})).status_code == 200
        assert (await auth.browser().ask("GET", "/v1/company/look?brand_colour=red")).status_code == 422


class TestLinkOfAnInvoice:
    async def issued(self, auth: Auth, customer: str) -> int:
        """Hear that the customer's invoice was issued; gives how many links are to be mailed."""
        event = issued_to(customer)
        async with auth.running.units.begin() as work:
            await make_links([Received(event, new_id(), 1, b"", Cause())], work)
        made = "SELECT count(*) FROM outbox WHERE type = 'PayerLinkMade' AND position($1::bytea IN payload) > 0"
        found: int = await auth.running.pool.fetchval(made, event.invoice_id.encode())
        return found

    async def test_is_made_before_the_customer_is_known(self, auth: Auth) -> None:
        """Invoices and customers come on two topics, in any order."""
        assert await self.issued(auth, new_id()) == 1

    async def test_needs_a_contact_of_a_known_customer(self, auth: Auth) -> None:
        customer = await auth.customer_named("Blue")
        assert await self.issued(auth, customer) == 0
        await auth.contact(address(), customer)
        assert await self.issued(auth, customer) == 1
