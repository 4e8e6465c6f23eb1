"""The `paidup` command: the local stack and what one does with it."""

import contextlib
import dataclasses
import datetime as dt
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Annotated

import typer

from contracts.services import SERVICES, WITH_DATABASE
from paidup_local import sandbox_cli as sandbox
from paidup_local import settings as stack_settings
from paidup_local.errors import StackError
from paidup_local.settings import Settings

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, help=__doc__)
clock = typer.Typer(no_args_is_help=True, help="Move business time, in every process at once.")
keys = typer.Typer(no_args_is_help=True, help="API keys.")
admin = typer.Typer(no_args_is_help=True, help="The company's own people.")
importing = typer.Typer(no_args_is_help=True, help="Bring in what another system holds.")
app.add_typer(importing, name="import")
app.add_typer(clock, name="clock")
app.add_typer(keys, name="keys")
app.add_typer(admin, name="admin")
app.add_typer(sandbox.app, name="sandbox")


def main() -> None:
    """Entry point: an expected failure prints what to do about it, and ends with 1."""
    try:
        app()
    except StackError as problem:
        print(f"Error: {problem}", file=sys.stderr)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)


def _say(text: str) -> None:
    with contextlib.suppress(OSError):  # a terminal that is gone stops nothing
        sys.stdout.write(f"{time.strftime('%H:%M:%S')}  {text}\n")
        sys.stdout.flush()


def _settings() -> Settings:
    return stack_settings.load()


def _running() -> Settings:
    """Of the stack that runs in this home; StackError when none does."""
    from paidup_local import state

    return state.as_it_runs(stack_settings.load())


def _print_json(found: object) -> None:
    print(json.dumps(found))


@app.command()
def up(
    detach: Annotated[bool, typer.Option(help="Return when the stack is ready, and leave it running.")] = False,
) -> None:
    """Start the stack: PostgreSQL, Kafka, the provider sandbox and every service."""
    from paidup_local import launch

    (launch.detached if detach else launch.foreground)(_settings(), _say)


@app.command()
def down() -> None:
    """Stop the stack of this home."""
    from paidup_local import state

    settings = _settings()
    _say("stopped" if state.stop(settings) else f"nothing runs in {settings.home}")


@app.command()
def status(as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False) -> None:
    """Every process with its port and whether it is ready."""
    from paidup_local import state

    found = state.status(_settings())
    if as_json:
        return _print_json(found)
    for one in found["processes"]:  # type: ignore[attr-defined]
        mark = "ready" if one["ready"] else "not ready"
        print(f"{one['name']:<20} {mark:<10} pid {one['pid'] or '-':<8} port {one['port'] or '-'}")
    print(f"kafka at {found['kafka']}, postgres at {found['postgres']}")


@app.command("try")
def try_out() -> None:
    """Add a customer with invoices, its contact and two of the company's people, to look at in a browser."""
    from paidup_local import business_clock, example

    settings = _running()
    url, key = stack_settings.read_env_file(settings)
    print(example.make(url, key, business_clock.today(settings), settings.mail_url))


@clock.command("advance")
def clock_advance(by: Annotated[str, typer.Argument(help="3d, 2h, 15m, 90s, 1d12h")]) -> None:
    """Move business time on."""
    from paidup_local import business_clock

    business_clock.advance(_settings(), by)
    print(business_clock.shown(_settings()))


@clock.command("show")
def clock_show() -> None:
    """What time it is for the business."""
    from paidup_local import business_clock

    print(business_clock.shown(_settings()))


@clock.command("reset")
def clock_reset() -> None:
    """Back to real time."""
    from paidup_local import business_clock

    _settings().clock_file.unlink(missing_ok=True)
    print(business_clock.shown(_settings()))


@keys.command("create")
def keys_create(
    name: Annotated[str, typer.Option(help="What the key is for.")],
    scopes: Annotated[str, typer.Option(help="Separated by commas; * is every scope.")],
    customer_id: Annotated[str | None, typer.Option(help="The key sees this customer alone.")] = None,
    expires_in_days: Annotated[int | None, typer.Option(min=1, help="Never, unless given.")] = None,
) -> None:
    """Make an API key; it is shown this once."""
    from paidup_local import business_clock, http

    settings = _settings()
    url, key = stack_settings.read_env_file(settings)
    body: dict[str, object] = {"name": name, "scopes": [one.strip() for one in scopes.split(",") if one.strip()]}
    if customer_id:
        body["customer_id"] = customer_id
    if expires_in_days is not None:
        body["expires_at"] = (business_clock.now(settings) + dt.timedelta(days=expires_in_days)).isoformat()
    _print_json(http.call("POST", f"{url}/v1/api-keys", key=key, body=body))


@admin.callback()
def _admin() -> None:
    """Keep `invite` a word of its own."""


@admin.command("invite")
def admin_invite(
    email: str,
    name: Annotated[str | None, typer.Option(help="What the person is called.")] = None,
    role: Annotated[str, typer.Option(help="administrator or account_manager.")] = "administrator",
) -> None:
    """Add one of the company's people. They get an e-mail, and sign in with their address and a code."""
    from paidup_local import http

    url, key = stack_settings.read_env_file(_settings())
    body: dict[str, object] = {"email": email, "role": role}
    if name:
        body["name"] = name
    _print_json(http.call("POST", f"{url}/v1/staff", key=key, body=body))


@app.command("dead-letters")
def dead_letters(
    action: Annotated[str, typer.Argument(help="list, replay or skip")],
    letter: Annotated[
        str | None, typer.Argument(metavar="[ID]", help="A letter's id, as list shows it; its key is replayed whole.")
    ] = None,
    service: Annotated[str | None, typer.Option(help="The service that lists the letter; ids are its own.")] = None,
    reason: Annotated[str | None, typer.Option(help="To skip: why. It is kept with the letter.")] = None,
) -> None:
    """Look at set-aside messages, replay them in order, or skip one.

    list: what waits, in every service or in one. replay: try all again, or with ID and --service the key of one letter.
    skip ID --service S --reason WHY: give one letter up, the first that waits of its key; what waits behind it goes on.
    One that is unreadable can only be skipped.
    """
    if action not in {"list", "replay", "skip"}:
        raise StackError(f"There is no dead-letters {action}.", "use list, replay or skip.")
    if service not in {None, *WITH_DATABASE}:
        raise StackError(f"No service is called {service}.", f"use one of {', '.join(WITH_DATABASE)}.")
    if letter is not None and not (letter.isascii() and letter.isdigit()):
        raise StackError(f"{letter!r} is no letter's id.", "use a number that `paidup dead-letters list` shows, as 7.")
    if action == "skip" and (letter is None or not reason):
        raise StackError("What is skipped is one letter, for a reason.", "use skip ID --service NAME --reason TEXT.")
    if letter is not None and service is None:
        raise StackError(f"Letter {letter} is one of a service.", "add --service with the one that lists it.")
    words = [action, *([letter] if letter else []), *(["--reason", reason] if action == "skip" and reason else [])]
    for one in [service] if service else WITH_DATABASE:
        _print_json({"service": one} | _in_service(one, "dead-letters", *words))


@importing.command("invoices")
def import_invoices(
    file: Annotated[Path, typer.Argument(help="A CSV file with a header line, in UTF-8.")],
    mapping: Annotated[Path, typer.Option(help="TOML: columns, date format, currency.")],
) -> None:
    """Issue an invoice for each line, and record its payment where it was settled. Again: goes on where it stopped."""
    import asyncio

    from rich.progress import Progress

    from paidup_local import business_clock, importing

    columns = importing.read_mapping(mapping)
    rows = importing.read_rows(file, columns, business_clock.today(_settings()))
    url, key = stack_settings.read_env_file(_settings())
    steps = (
        len({row.customer_external_id for row in rows}) + len(rows) + sum(row.settled_on is not None for row in rows)
    )
    with Progress(transient=True) as progress:
        bar = progress.add_task(f"{len(rows)} invoices", total=steps)
        done = asyncio.run(importing.import_invoices(url, key, rows, columns, lambda _: progress.advance(bar)))
    _print_json(dataclasses.asdict(done))


@app.command("check-money")
def check_money() -> None:
    """Compare every book, balance, event and projection; the last line is JSON with `ok` and `violations`.

    `waiting`: what the provider has otherwise than the books, and a person has as an exception.
    """
    import asyncpg
    from aiokafka.errors import KafkaError

    from paidup_local import check_money

    settings = _running()
    try:
        found = check_money.run(settings)
    except (OSError, asyncpg.PostgresError, KafkaError) as error:
        detail = f"PostgreSQL, Kafka or the sandbox does not answer ({type(error).__name__})."
        raise StackError(detail, "look at `paidup status`, and check again once all are ready.") from error
    _print_json(found)
    raise typer.Exit(0 if found["ok"] else 1)


@app.command("env")
def env(service: Annotated[str, typer.Argument(help="A service's name, or sandbox")]) -> None:
    """The variables one service gets in this stack, passwords included, ready for a shell."""
    import shlex

    from paidup_local import plan

    names = [*(one.name for one in SERVICES), "sandbox"]
    if service not in names:
        raise StackError(f"No service is called {service}.", f"use one of {', '.join(names)}.")
    for name, value in plan.decided(_running(), service).items():
        print(f"{name}={shlex.quote(value)}")


def _in_service(service: str, *words: str) -> dict[str, object]:
    """Run a command of a service in the stack's environment; the JSON object it prints."""
    from paidup_local import plan

    settings = _running()
    command, environment = plan.python(service, *words), plan.environment(settings, service)
    done = subprocess.run(command, env=environment, cwd=settings.home, capture_output=True, text=True, check=False)
    if done.returncode:
        said = (done.stderr.strip() or done.stdout.strip()).splitlines()
        what = f"{service} could not {' '.join(words)}: {said[-1][-500:] if said else 'it ended without a word'}"
        raise StackError(what, "look at `paidup dead-letters list` and `paidup status`.")
    found: dict[str, object] = json.loads(done.stdout.strip().splitlines()[-1])
    return found


if __name__ == "__main__":
    main()
