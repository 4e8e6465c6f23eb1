"""What Stripe has not: requests that make the sandbox misbehave or act as a bank, and that read all charges."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import orjson

from sandbox import render, render_money
from sandbox.api import paid
from sandbox.bank_file import BankFile, bank_file
from sandbox.card_form import Given, billing_of
from sandbox.catalogue import TEST_METHODS
from sandbox.clock import Clock
from sandbox.disputes import Disputes
from sandbox.errors import ApiError, missing
from sandbox.intents import Intents
from sandbox.payouts import Payouts
from sandbox.records import Dispute, Payment, Payout, Refund
from sandbox.refunds import Refunds
from sandbox.rules import Rules
from sandbox.setups import Setups
from sandbox.store import Store
from sandbox.webhooks import Webhooks

Json = dict[str, Any]

_LONGEST_PAGE = 10_000


class Control:
    """Answers `/_control/…`; the callers are on this machine."""

    def __init__(
        self,
        store: Store,
        clock: Clock,
        rules: Rules,
        webhooks: Webhooks,
        intents: Intents,
        refunds: Refunds,
        disputes: Disputes,
        payouts: Payouts,
        setups: Setups,
    ) -> None:
        self._store = store
        self._clock = clock
        self._rules = rules
        self._intents = intents
        self._refunds = refunds
        self._disputes = disputes
        self._payouts = payouts
        self._setups = setups
        self._webhooks = webhooks

    def answer(self, verb: str, path: str, query: dict[str, str], body: bytes) -> Json | BankFile:
        match verb, path.split("/")[2:]:
            case "GET", ["rules"]:
                return self._shown_rules()
            case "POST", ["rules"]:
                return self._change_rules(_object(body))
            case "POST", ["reset"]:
                return self._reset(_object(body))
            case "GET", ["charges"]:
                return self._charges(query)
            case "GET", ["payment_intents"]:
                return self._intents_listed(query)
            case "GET", ["payment_intents", identifier]:
                return self._shown_intent(paid(self._store, identifier))
            case "POST", ["payment_intents", identifier, "clear" | "fail" | "return" as act]:
                return self._act(identifier, act, _object(body))
            case "POST", ["payment_intents", identifier, "amend"]:
                return self._amend(identifier, _object(body))
            case "POST", ["refunds", identifier, "succeed" | "fail" as act]:
                return self._end_refund(identifier, act, _object(body))
            case "POST", ["payment_intents", identifier, "dispute"]:
                return self._dispute(identifier, _object(body))
            case "POST", ["disputes", identifier, "win" | "lose" as act]:
                return self._decide(identifier, act)
            case "POST", ["payment_intents", identifier, "authenticate"]:
                return self._authenticate(identifier, _object(body))
            case "POST", ["payment_methods", identifier, "expire"]:
                return self._expire_card(identifier)
            case "POST", ["checkout", "sessions", identifier, "complete"]:
                return self._complete_session(identifier, _object(body))
            case "POST", ["payouts"]:
                return self._pay_out(_object(body))
            case "POST", ["payouts", identifier, "send" | "pay" | "fail" as act]:
                return self._move_payout(identifier, act, _object(body))
            case "POST", ["bank-file"]:
                return self._bank_file(_object(body))
        raise ApiError(404, f"Unknown control: {verb} {path}")

    def _shown_rules(self) -> Json:
        return dict(orjson.loads(orjson.dumps(self._rules.now)))

    def _change_rules(self, wanted: Json) -> Json:
        try:
            self._rules.change(wanted)
        except ValueError as fault:
            raise ApiError(400, str(fault)) from fault
        return self._shown_rules()

    def _reset(self, wanted: Json) -> Json:
        """The usual rules; with `everything` an empty sandbox."""
        self._rules.reset()
        if wanted.get("everything") is True:
            with self._store.change():
                self._store.erase()
            self._webhooks.forget()
        return self._shown_rules()

    def _charges(self, query: dict[str, str]) -> Json:
        """Every charge in the order of its intent, with what went back of it; amounts in Stripe's unit."""
        found, after = self._page(query)
        return {"items": [{**_shown_charge(each), **self._gone(each)} for each in found if each.tries], "next": after}

    def _intents_listed(self, query: dict[str, str]) -> Json:
        """Every intent, also those that were never charged."""
        found, after = self._page(query)
        return {"items": [_shown_charge(each) for each in found], "next": after}

    def _page(self, query: dict[str, str]) -> tuple[list[Payment], int | None]:
        """Intents in the order in which they were made, and where the next page begins."""
        after, limit = query.get("after", "0"), query.get("limit", "1000")
        if not after.isdecimal() or not limit.isdecimal() or not 1 <= int(limit) <= _LONGEST_PAGE:
            raise ApiError(400, f"after is a `next` of this list, limit 1 to {_LONGEST_PAGE}")
        found = self._store.payments_after(int(after), int(limit))
        return [payment for _, payment in found], found[-1][0] if len(found) == int(limit) else None

    def _gone(self, payment: Payment) -> Json:
        """What went back for good, by refunds and by disputes."""
        if not (payment.refunded or payment.disputed or payment.return_code):
            return {"refunds_succeeded": 0, "disputes_lost": 0}
        refunds, disputes = self._store.all_kept(Refund, payment.id), self._store.all_kept(Dispute, payment.id)
        return {
            "refunds_succeeded": sum(each.amount for each in refunds if each.status == "succeeded"),
            "disputes_lost": sum(each.amount for each in disputes if each.status == "lost"),
        }

    def _shown_intent(self, payment: Payment) -> Json:
        """With what goes back of it, newest first."""
        refunds = [render_money.refund(each) for each in self._store.all_kept(Refund, payment.id)]
        disputes = [render_money.dispute(each) for each in self._store.all_kept(Dispute, payment.id)]
        return {**_shown_charge(payment), "refunds": refunds, "disputes": disputes}

    def _act(self, identifier: str, act: str, wanted: Json) -> Json:
        payment = paid(self._store, identifier)
        do: dict[str, Callable[[], object]] = {
            "clear": lambda: self._intents.clear(payment),
            "fail": lambda: self._intents.fail(payment, str(wanted.get("code", "insufficient_funds"))),
            "return": lambda: self._disputes.give_back(payment, str(wanted.get("code", "R01"))),
        }
        with self._store.change():
            do[act]()
        return _shown_charge(payment)

    def _end_refund(self, identifier: str, act: str, wanted: Json) -> Json:
        refund = self._store.kept(Refund, identifier)
        if refund is None:
            raise missing("refund", identifier)
        with self._store.change():
            if act == "succeed":
                self._refunds.succeed(refund)
            else:
                self._refunds.fail(refund, str(wanted.get("reason", "declined")))
        return render_money.refund(refund)

    def _amend(self, identifier: str, wanted: Json) -> Json:
        """Somebody changes what a debit under way takes."""
        payment, amount = paid(self._store, identifier), wanted.get("amount")
        if payment.status != "processing" or type(amount) is not int or amount <= 0:
            raise ApiError(400, "amount is a whole number of Stripe's unit, and the debit is under way")
        with self._store.change():
            payment.amount = amount
            self._store.save_payment(payment)
        return _shown_charge(payment)

    def _dispute(self, identifier: str, wanted: Json) -> Json:
        amount = wanted.get("amount")
        if amount is not None and (not isinstance(amount, int) or isinstance(amount, bool)):
            raise ApiError(400, "amount is a whole number of Stripe's unit")
        with self._store.change():
            reason = str(wanted.get("reason", "fraudulent"))
            made = self._disputes.open(paid(self._store, identifier), amount, reason)
        return render_money.dispute(made)

    def _authenticate(self, identifier: str, wanted: Json) -> Json:
        """The holder passes, or with `fail` doesn't."""
        payment = paid(self._store, identifier)
        with self._store.change():
            self._intents.authenticate(payment, passed=wanted.get("fail") is not True)
        return _shown_charge(payment)

    def _expire_card(self, identifier: str) -> Json:
        card = self._store.method(identifier)
        if card is None or TEST_METHODS[card.token].kind != "card":
            raise missing("card", identifier)
        with self._store.change():
            self._intents.expire_card(card)
        return render.method(card)

    def _complete_session(self, identifier: str, wanted: Json) -> Json:
        """As on the hosted page, with any test id: `token`, `name` and address, `deposits` for a bank account."""
        session = self._setups.session(identifier)
        token = str(wanted.get("token", "pm_card_visa"))
        if session is None or token not in TEST_METHODS:
            raise missing("checkout session or test id", f"{identifier}, {token}")
        given = Given(token, billing_of({"name": "A. Payer", **wanted}), None, wanted.get("deposits") is True)
        with self._store.change():
            made = self._setups.submit(session, given.method(self._clock.now()), deposits=given.deposits)
        return {"setup_intent": made.id, "payment_method": made.method, "status": made.status, "action": made.action}

    def _pay_out(self, wanted: Json) -> Json:
        arrival = _day(wanted, "arrival_date")
        with self._store.change():
            made = self._payouts.create(pending=wanted.get("everything") is True, arrival=arrival)
            if wanted.get("paid") is True:
                for payout in made:
                    self._payouts.pay(payout)
        return {"items": [render_money.payout(payout) for payout in made]}

    def _move_payout(self, identifier: str, act: str, wanted: Json) -> Json:
        payout = self._store.kept(Payout, identifier)
        if payout is None:
            raise missing("payout", identifier)
        with self._store.change():
            match act:
                case "send":
                    self._payouts.send(payout)
                case "pay":
                    self._payouts.pay(payout)
                case _:
                    self._payouts.fail(payout, str(wanted.get("code", "account_closed")))
        return render_money.payout(payout)

    def _bank_file(self, wanted: Json) -> BankFile:
        """With `payouts` those that have arrived, from the day `from` to the day `to` if they are given."""
        first, last = _day(wanted, "from") or 0, _day(wanted, "to") or 2**53
        every = self._store.all_kept(Payout) if wanted.get("payouts") is True else iter(())
        return bank_file(wanted, (p for p in every if p.status == "paid" and first <= p.arrival <= last))

    def _decide(self, identifier: str, act: str) -> Json:
        dispute = self._store.kept(Dispute, identifier)
        if dispute is None:
            raise missing("dispute", identifier)
        with self._store.change():
            if act == "win":
                self._disputes.win(dispute)
            else:
                self._disputes.lose(dispute)
        return render_money.dispute(dispute)


def _day(wanted: Json, name: str) -> int | None:
    """The first second of a day in UTC."""
    if (given_day := wanted.get(name)) is None:
        return None
    try:
        return int(datetime.fromisoformat(str(given_day)).replace(tzinfo=UTC).timestamp()) // 86400 * 86400
    except ValueError as fault:
        raise ApiError(400, f"{name} is a day as 2026-03-08") from fault


def _shown_charge(payment: Payment) -> Json:
    return {
        "id": payment.charge_id,
        "payment_intent": payment.id,
        "customer": payment.customer,
        "metadata": payment.metadata,
        "amount": payment.amount,
        "currency": payment.currency,
        "status": payment.charge_status,
        "intent_status": payment.status,
        "failure_code": payment.decline or payment.failure,
        "created": payment.charged,
        "cleared": payment.cleared,
        "refunded": payment.refunded == payment.amount,
        "amount_refunded": payment.refunded,
        "disputed": payment.disputed,
        "return_code": payment.return_code,
    }


def _object(body: bytes) -> Json:
    try:
        found = orjson.loads(body or b"{}")
    except orjson.JSONDecodeError as fault:
        raise ApiError(400, "the body is no JSON") from fault
    if not isinstance(found, dict):
        raise ApiError(400, "the body is no JSON object")
    return found
