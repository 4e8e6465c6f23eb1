"""`paidup sandbox …`: make the payment provider of the local stack misbehave, and its banks move money."""

import json
import shutil
import sys
from pathlib import Path
from typing import Annotated

import typer

from paidup_local.errors import StackError

app = typer.Typer(
    no_args_is_help=True,
    help="Make the provider decline, delay, drop replies, go dark; its banks return, dispute, pay out.",
)
Refund = Annotated[str, typer.Argument(help="A refund (re_…) of the provider, or a payment: then its newest.")]
Dispute = Annotated[str, typer.Argument(help="A dispute (du_…) of the provider, or a payment.")]
Payout = Annotated[str, typer.Argument(help="A payout (po_…) of the provider.")]
Intent = Annotated[str, typer.Argument(help="A payment intent (pi_…) of the provider, or the id of a payment.")]


def _control() -> str:
    from paidup_local import settings as stack_settings
    from paidup_local import state

    settings = state.as_it_runs(stack_settings.load())
    return f"http://127.0.0.1:{settings.port_of('sandbox')}/_control"


def _call(method: str, path: str, body: object = None) -> object:
    from paidup_local import http

    return http.call(method, f"{_control()}/{path}", body=body)


def _rules(**changed: object) -> None:
    print(json.dumps(_call("POST", "rules", changed)))


def _share(text: str) -> float:
    """`30%` or `0.3` as a share."""
    try:
        share = float(text[:-1]) / 100 if text.endswith("%") else float(text)
    except ValueError:
        share = -1
    if not 0 <= share <= 1:
        raise StackError(f"{text!r} is no share.", "write it as 30% or 0.3; 0 ends it.")
    return share


@app.command("rules")
def rules() -> None:
    """How the sandbox behaves now."""
    print(json.dumps(_call("GET", "rules")))


@app.command("decline")
def decline(
    how_many: Annotated[str, typer.Argument(help="The next cards (2), or a share of all (30%); 0 ends it.")] = "1",
) -> None:
    """Decline the next cards, or a share of them."""
    _rules(decline=int(how_many) if how_many.isdigit() else _share(how_many))


@app.command("delay")
def delay(
    seconds: Annotated[float, typer.Argument(min=0, help="0 ends it.")],
    reply: Annotated[bool, typer.Option(help="Act at once and delay the reply alone.")] = False,
) -> None:
    """Answer late."""
    _rules(**{"reply_delay_ms" if reply else "delay_ms": seconds * 1000})


@app.command("drop-replies")
def drop_replies(share: Annotated[str, typer.Argument(help="As 30% or 0.3; 0 ends it.")]) -> None:
    """Do what is asked, then hang up without a reply."""
    _rules(drop_replies=_share(share))


@app.command("dark")
def dark(seconds: Annotated[float, typer.Argument(min=0, help="Of real time; 0 ends it.")]) -> None:
    """Answer nobody for a while."""
    _rules(dark_seconds=seconds)


@app.command("webhooks")
def webhooks(
    delay: Annotated[float | None, typer.Option(min=0, help="Seconds until each is sent.")] = None,
    duplicate: Annotated[int | None, typer.Option(min=1, max=100, help="How often each is sent.")] = None,
    shuffle: Annotated[bool | None, typer.Option(help="Out of order.")] = None,
    off: Annotated[bool | None, typer.Option("--off/--on", help="Send none.")] = None,
) -> None:
    """Deliver webhooks late, doubled, out of order, or not at all."""
    wanted = {
        "delay_ms": None if delay is None else delay * 1000,
        "duplicate": duplicate,
        "shuffle": shuffle,
        "off": off,
    }
    _rules(webhooks={name: value for name, value in wanted.items() if value is not None})


@app.command("bank-clear")
def bank_clear(seconds: Annotated[float, typer.Argument(min=0, help="0: only on `clear`.")]) -> None:
    """How long bank debits take to clear."""
    _rules(bank_clear_seconds=seconds)


@app.command("clear")
def clear(intent: Intent) -> None:
    """The bank debit clears now."""
    _act(intent, "clear")


@app.command("fail")
def fail(intent: Intent, code: Annotated[str, typer.Option()] = "insufficient_funds") -> None:
    """The bank debit fails instead of clearing."""
    _act(intent, "fail", code=code)


@app.command("return")
def give_back(intent: Intent, code: Annotated[str, typer.Option(help="The bank's reason.")] = "R01") -> None:
    """The bank takes a cleared debit back."""
    _act(intent, "return", code=code)


@app.command("authenticate")
def authenticate(intent: Intent, fail: Annotated[bool, typer.Option(help="The holder doesn't pass.")] = False) -> None:
    """The holder of a card that asked for 3-D Secure answers."""
    _act(intent, "authenticate", fail=fail)


@app.command("expire-card")
def expire_card(method: Annotated[str, typer.Argument(help="A payment method (pm_…) of the provider.")]) -> None:
    """A card's last month was the one before this."""
    print(json.dumps(_call("POST", f"payment_methods/{method}/expire", {})))


@app.command("refund-clear")
def refund_clear(seconds: Annotated[float, typer.Argument(min=0, help="0: only on request.")]) -> None:
    """How long refunds to bank accounts take to arrive."""
    _rules(refund_clear_seconds=seconds)


@app.command("refund-succeed")
def refund_succeed(refund: Refund) -> None:
    """A refund that is under way arrives."""
    print(json.dumps(_call("POST", f"refunds/{_back(refund, 'refunds')}/succeed", {})))


@app.command("refund-fail")
def refund_fail(refund: Refund, reason: Annotated[str, typer.Option(help="As Stripe's.")] = "declined") -> None:
    """The payer's bank sends a refund back."""
    print(json.dumps(_call("POST", f"refunds/{_back(refund, 'refunds')}/fail", {"reason": reason})))


@app.command("dispute")
def dispute(
    intent: Intent,
    amount: Annotated[int | None, typer.Option(min=1, help="In Stripe's unit; all that is left by default.")] = None,
    reason: Annotated[str, typer.Option(help="As Stripe's.")] = "fraudulent",
) -> None:
    """The holder of a card disputes its charge."""
    _act(intent, "dispute", reason=reason, **({} if amount is None else {"amount": amount}))


@app.command("dispute-win")
def dispute_win(dispute: Dispute) -> None:
    """A dispute is decided for the company: the money comes back."""
    print(json.dumps(_call("POST", f"disputes/{_back(dispute, 'disputes')}/win", {})))


@app.command("dispute-lose")
def dispute_lose(dispute: Dispute) -> None:
    """A dispute is decided for the payer: the money is gone."""
    print(json.dumps(_call("POST", f"disputes/{_back(dispute, 'disputes')}/lose", {})))


@app.command("payout")
def payout(
    everything: Annotated[bool, typer.Option(help="Also what is not available yet.")] = False,
    arrival: Annotated[str | None, typer.Option(help="The day it arrives, as 2026-03-08; today by default.")] = None,
    paid: Annotated[bool, typer.Option(help="It has arrived.")] = False,
) -> None:
    """Pay the balance out, a payout for each currency."""
    body = {"everything": everything, "paid": paid, **({"arrival_date": arrival} if arrival else {})}
    print(json.dumps(_call("POST", "payouts", body)))


@app.command("payout-pay")
def payout_pay(payout: Payout) -> None:
    """A payout arrives."""
    print(json.dumps(_call("POST", f"payouts/{payout}/pay", {})))


@app.command("payout-fail")
def payout_fail(payout: Payout, code: Annotated[str, typer.Option(help="As Stripe's.")] = "account_closed") -> None:
    """The company's bank sends a payout back."""
    print(json.dumps(_call("POST", f"payouts/{payout}/fail", {"code": code})))


@app.command("payouts")
def payouts(
    every: Annotated[float, typer.Option(min=0, help="Seconds from one to the next; 0: only on request.")] = 0,
    clear: Annotated[float | None, typer.Option(min=0, help="Seconds of each step; 0: only on request.")] = None,
) -> None:
    """Pay out by itself."""
    _rules(payout_every_seconds=every, **({} if clear is None else {"payout_clear_seconds": clear}))


@app.command("bank-file")
def bank_file(
    account: Annotated[str, typer.Argument(help="The company's own IBAN or number.")],
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Where to write it; else it is shown.")] = None,
    format: Annotated[str, typer.Option(help="camt.053, bai2, mt940 or csv.")] = "camt.053",
    lines: Annotated[
        Path | None, typer.Option(help="A JSON list of transfers; the sandbox's README has their fields.")
    ] = None,
    payouts: Annotated[bool, typer.Option(help="With the payouts that have arrived.")] = True,
    first: Annotated[str | None, typer.Option("--from", help="First day of payouts, as 2026-03-08.")] = None,
    last: Annotated[str | None, typer.Option("--to", help="Last day of payouts.")] = None,
) -> None:
    """Write the file of the company's bank."""
    asked = {"format": format, "account": account, "payouts": payouts, "from": first, "to": last}
    try:
        given = json.loads(lines.read_text("utf-8")) if lines else []
    except (OSError, ValueError) as problem:
        raise StackError(f"{lines} is not read: {problem}.", "it must be a JSON list of transfers.") from None
    _save({**asked, "lines": given}, output)


def _save(asked: dict[str, object], output: Path | None) -> None:
    """In pieces: the file may be long."""
    import urllib.error
    import urllib.request

    request = urllib.request.Request(f"{_control()}/bank-file", json.dumps(asked).encode(), method="POST")  # noqa: S310
    try:
        with urllib.request.urlopen(request, timeout=300) as answer:  # noqa: S310
            if output is None:
                shutil.copyfileobj(answer, sys.stdout.buffer)
            else:
                with output.open("wb") as file:
                    shutil.copyfileobj(answer, file)
    except urllib.error.HTTPError as refusal:
        raise StackError(f"The sandbox wrote no file: {refusal.read().decode(errors='replace')[:500]}") from None
    except OSError as problem:
        raise StackError(f"There is no file: {problem}.", "is the stack up? See `paidup status`.") from None


@app.command("charges")
def charges() -> None:
    """Every charge that the sandbox has made."""
    print(json.dumps({"items": _all("charges")}))


@app.command("reset")
def reset(everything: Annotated[bool, typer.Option(help="Forget all charges too.")] = False) -> None:
    """Behave again."""
    print(json.dumps(_call("POST", "reset", {"everything": everything})))


def _act(intent: str, act: str, **body: object) -> None:
    print(json.dumps(_call("POST", f"payment_intents/{_intent(intent)}/{act}", body)))


def _intent(named: str) -> str:
    return named if named.startswith("pi_") else _intent_of(named)


def _back(named: str, kind: str) -> str:
    """A refund or dispute by its own id, or the newest of a payment."""
    if named.startswith(("re_", "pyr_", "du_")):
        return named
    found = _call("GET", f"payment_intents/{_intent(named)}")
    assert isinstance(found, dict)
    if not found[kind]:
        raise StackError(f"{named} has no {kind}.", "`paidup sandbox charges` lists what was charged.")
    return str(found[kind][0]["id"])


def _intent_of(payment_id: str) -> str:
    """The provider's id for a payment of Paidup, by what its intent carries: before its bank has answered no charge."""
    for intent in _all("payment_intents"):
        if payment_id in intent["metadata"].values():  # type: ignore[attr-defined]
            return str(intent["payment_intent"])
    hint = "`paidup sandbox charges` lists what was charged."
    raise StackError(f"The provider was asked for nothing of {payment_id}.", hint)


def _all(kind: str) -> "list[dict[str, object]]":
    found: list[dict[str, object]] = []
    after: object = 0
    while after is not None:
        page = _call("GET", f"{kind}?after={after}")
        assert isinstance(page, dict)
        found += page["items"]
        after = page["next"]
    return found
