"""`paidup sandbox …`: make the payment provider of the local stack misbehave, and its banks move money."""

import json
from typing import Annotated

import typer

from paidup_local.errors import StackError

app = typer.Typer(no_args_is_help=True, help="Make the provider decline, delay, drop replies, return a debit, go dark.")
Intent = Annotated[str, typer.Argument(help="A payment intent (pi_…) of the provider, or the id of a payment.")]


def _call(method: str, path: str, body: object = None) -> object:
    from paidup_local import http, state
    from paidup_local import settings as stack_settings

    settings = state.as_it_runs(stack_settings.load())
    return http.call(method, f"http://127.0.0.1:{settings.port_of('sandbox')}/_control/{path}", body=body)


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
def bank_clear(seconds: Annotated[float, typer.Argument(min=0, help="0: only when told by `clear`.")]) -> None:
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


@app.command("charges")
def charges() -> None:
    """Every charge that the sandbox has made."""
    print(json.dumps({"items": list(_charges())}))


@app.command("reset")
def reset(everything: Annotated[bool, typer.Option(help="Forget all charges too.")] = False) -> None:
    """Behave again."""
    print(json.dumps(_call("POST", "reset", {"everything": everything})))


def _act(intent: str, act: str, **body: str) -> None:
    found = intent if intent.startswith("pi_") else _intent_of(intent)
    print(json.dumps(_call("POST", f"payment_intents/{found}/{act}", body)))


def _intent_of(payment_id: str) -> str:
    """The provider's id for a payment of Paidup, by what its charges carry."""
    for charge in _charges():
        if payment_id in charge["metadata"].values():  # type: ignore[attr-defined]
            return str(charge["payment_intent"])
    raise StackError(f"The provider has no charge for {payment_id}.", "`paidup sandbox charges` lists them all.")


def _charges() -> "list[dict[str, object]]":
    found: list[dict[str, object]] = []
    after: object = 0
    while after is not None:
        page = _call("GET", f"charges?after={after}")
        assert isinstance(page, dict)
        found += page["items"]
        after = page["next"]
    return found
