"""Loaded into every process of a stack under fault: dies at a point that it is told, and has a bug when told so.

Python imports a module of this name at its start from PYTHONPATH, so that no service knows of it. `FAULTS_ORDERS` is a
folder: in a file named like the service stands `COUNT POINT`, and at the COUNTth passing of the point the process
kills itself, once: what is done is noted in `SERVICE.died`, and the order goes. All points that are passed
while there is an order are noted in `SERVICE.passed`. While the file `bug` is there, handlers have one (`BUG_MINOR`);
while the file `log` is there, every line of a log raises.
"""

import asyncio
import functools
import os
import pathlib
import re
import runpy
import signal
import sys
from collections.abc import Awaitable, Callable, Iterator
from types import FrameType
from typing import Any

BUG_MINOR = 66_613
SERVICES = ("auth", "invoicing", "notify", "payments", "support")
NOT_A_PLACE = ("chassis.messaging.work", "chassis.db.pool")
WRITES = re.compile(r"\b(INSERT INTO|DELETE FROM|UPDATE \w+ (\w+ )?SET)\b")


class Orders:
    """What this process is told, by a folder that it looks at again at every point."""

    def __init__(self, folder: pathlib.Path, service: str) -> None:
        self._order, self._bug = str(folder / service), str(folder / "bug")
        self._known: set[str] = set()

    def buggy(self) -> bool:
        return os.path.exists(self._bug)

    def passing(self, point: Callable[[], str]) -> None:
        if not os.path.exists(self._order):
            return
        name, order = point(), pathlib.Path(self._order)
        if name not in self._known:
            self._known.add(name)
            _note(f"{self._order}.passed", name)
        count, _, wanted = order.read_text().partition(" ")
        if name == wanted and int(count) > 1:
            order.write_text(f"{int(count) - 1} {wanted}")
        elif name == wanted:
            _note(f"{self._order}.died", name)  # first: who sees the order gone reads what was done
            order.unlink()
            os.kill(os.getpid(), signal.SIGKILL)


def _note(path: str, line: str) -> None:
    with open(path, "a") as file:
        file.write(f"{line}\n")


def _place() -> str:
    """The function of a service or the chassis that is nearest to this call, with its consumer's name if it has one."""
    for frame in _frames():
        module = frame.f_globals.get("__name__", "")
        if module == "chassis.messaging.work" and frame.f_code.co_name == "_take":  # many items in one unit of work
            handle = frame.f_locals["self"]._handle
            return f"{handle.__module__}.{handle.__name__}"
        if module.split(".")[0] in (*SERVICES, "chassis") and module not in NOT_A_PLACE:
            whose = f" {frame.f_locals['self'].name}" if module == "chassis.messaging.consume" else ""
            return f"{module.removeprefix('chassis.')}.{frame.f_code.co_name}{whose}"
    return "nowhere"


def _frames() -> Iterator[FrameType]:
    frame: FrameType | None = sys._getframe()
    while frame is not None:
        yield frame
        frame = frame.f_back


def _around(
    orders: Orders, act: Callable[..., Awaitable[Any]], name: Callable[..., Callable[[], str] | None]
) -> Callable[..., Awaitable[Any]]:
    """The call with a point before and a point after it; `name` gives None for a call that is none."""

    @functools.wraps(act)
    async def wrapped(*words: Any, **more: Any) -> Any:
        where = name(*words)
        if where is None:
            return await act(*words, **more)
        orders.passing(lambda: f"before {where()}")
        answer = await act(*words, **more)
        orders.passing(lambda: f"after {where()}")
        return answer

    return wrapped


def commits(orders: Orders) -> None:
    """COMMIT of a transaction that wrote, and a statement that writes outside of one."""
    from asyncpg import Connection

    wrote: set[int] = set()

    def name(connection: Connection, query: str, *words: Any) -> Callable[[], str] | None:
        if query == "COMMIT;":
            if id(connection) not in wrote:
                return None
            wrote.discard(id(connection))
        elif query == "ROLLBACK;":
            wrote.discard(id(connection))
            return None
        elif not WRITES.search(query):
            return None
        elif connection.is_in_transaction():
            wrote.add(id(connection))
            return None
        return lambda: f"commit {_place()}"

    def simple(connection: Connection, query: str, *words: Any) -> Callable[[], str] | None:
        return None if words else name(connection, query)  # with parameters it comes by _execute

    Connection.execute = _around(orders, Connection.execute, simple)
    Connection._execute = _around(orders, Connection._execute, name)


def produces(orders: Orders) -> None:
    """Before a record is handed to the producer, and once the broker has it."""
    from aiokafka import AIOKafkaProducer

    send = AIOKafkaProducer.send

    async def sending(*words: Any, **more: Any) -> asyncio.Future[Any]:
        orders.passing(lambda: "before produce")
        sent: asyncio.Future[Any] = await send(*words, **more)
        sent.add_done_callback(lambda _: orders.passing(lambda: "after produce"))
        return sent

    AIOKafkaProducer.send = sending


def offsets(orders: Orders) -> None:
    from aiokafka import AIOKafkaConsumer

    AIOKafkaConsumer.commit = _around(
        orders, AIOKafkaConsumer.commit, lambda consumer, *_: lambda: f"offsets {consumer._group_id}"
    )


def provider_calls(orders: Orders) -> None:
    from payments.providers.stripe_adapter import StripeAdapter

    calls = ("create_customer", "attach_method", "charge", "get_charge", "find_charge", "events_since", "refund")
    for call in (*calls, "cancel_charge", "payouts_since", "payout_lines"):
        name = functools.partial(str, f"provider {call}")
        setattr(StripeAdapter, call, _around(orders, getattr(StripeAdapter, call), lambda *_, name=name: name))


def mails(orders: Orders) -> None:
    """Before a mail is handed to its server, and once the server has it."""
    from aiosmtplib import SMTP

    SMTP.send_message = _around(orders, SMTP.send_message, lambda *_: lambda: "mail")


def bugs(orders: Orders) -> None:
    """A bug of invoicing: an invoice line or a payment of just this amount raises what nobody expects."""
    from invoicing import domain, issuing

    def fails(module: Any, name: str, minor: Callable[..., int]) -> None:
        sound = getattr(module, name)

        @functools.wraps(sound)
        def unsound(*words: Any, **more: Any) -> Any:
            if minor(*words) == BUG_MINOR and orders.buggy():
                raise ZeroDivisionError("a bug in a handler")
            return sound(*words, **more)

        setattr(module, name, unsound)

    fails(domain.Book, "settle", lambda book, payment, customer, received, *_: received.minor)
    fails(issuing, "price", lambda lines: lines[0].unit_price_minor)


def unloggable(folder: pathlib.Path) -> None:
    from chassis import logs

    broken, sound = str(folder / "log"), logs._dumps

    def dumps(*words: Any, **more: Any) -> str:
        if os.path.exists(broken):
            raise ZeroDivisionError("a bug in a log")
        return sound(*words, **more)

    logs._dumps = dumps


def impatient() -> None:
    """The supervisor starts what dies again and again without waiting longer each time."""
    from paidup_local import programs

    programs.LONGEST_PAUSE = programs.FIRST_PAUSE


def forks() -> None:
    """A fork has this module from its server: it is armed once it knows which program it is."""
    run = runpy.run_module

    def armed(*words: Any, **more: Any) -> Any:
        _arm()
        return run(*words, **more)

    runpy.run_module = armed


def _arm() -> None:
    folder, words = os.environ.get("FAULTS_ORDERS"), sys.orig_argv
    service = words[words.index("-m") + 1] if "-m" in words[:-1] else ""
    if folder is not None and service == "paidup_local.supervisor":
        impatient()
    if folder is not None and service == "paidup_local.forkserver":
        forks()
    if folder is None or service not in SERVICES or words[-1] not in (service, "serve", "work"):
        return
    orders = Orders(pathlib.Path(folder), service)
    unloggable(pathlib.Path(folder))
    commits(orders)
    produces(orders)
    offsets(orders)
    if service == "payments":
        provider_calls(orders)
    if service == "notify":
        mails(orders)
    if service == "invoicing":
        bugs(orders)


_arm()
