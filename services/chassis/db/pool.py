"""Connections to the service's own database."""

import asyncio

import asyncpg

# Plans cached while a table was empty keep scanning it for ever after it has grown; every query of a service has its
# index, so a sequential scan is never what it wants. Each query has one good plan, whatever its parameters: left to
# itself the server makes a new one for every call of those that take arrays, which costs more than to run them.
SESSION = {
    "enable_seqscan": "off",
    "plan_cache_mode": "force_generic_plan",
    "jit": "off",
    "timezone": "UTC",
    "lock_timeout": "2000",
    "idle_in_transaction_session_timeout": "60000",
}

_OUT_OF_REACH = (OSError, asyncio.TimeoutError, asyncpg.InternalClientError)
# By the first characters of the SQLSTATE: connections, read-only for the time being (a failover), authorisation, no
# such database, resources (disk, memory, connections), an operator's intervention, the system's own errors.
_AWAY = ("08", "25006", "28", "3D", "53", "57", "58")


def out_of_reach(error: BaseException) -> bool:
    """Whether the database is away, restarting or full. If so, the work itself is sound: wait and try again."""
    if isinstance(error, asyncpg.PostgresError):
        return (error.sqlstate or "").startswith(_AWAY)
    if isinstance(error, asyncpg.InterfaceError):
        return "connection" in str(error)
    return isinstance(error, _OUT_OF_REACH)


# Two transactions met; the same work succeeds when run again.
COLLIDED = (asyncpg.DeadlockDetectedError, asyncpg.SerializationError, asyncpg.LockNotAvailableError)


async def open_pool(dsn: str, *, size: int, application: str, role: str | None = None) -> asyncpg.Pool:
    """A pool of at most `size` connections; waits up to a minute for the server to come up.

    `role`: the role that its sessions act as, when that is not the one of the DSN.
    """
    session = {**SESSION, "application_name": application} | ({"role": role} if role else {})
    for attempt in range(120):
        try:
            return await asyncpg.create_pool(
                dsn,
                min_size=0 if role else 1,
                max_size=size,
                command_timeout=60,
                max_inactive_connection_lifetime=120,
                init=_speak_text_ids,
                reset=_as_it_is,
                server_settings=session,
            )
        except Exception as error:
            if attempt == 119 or not out_of_reach(error):
                raise
            await asyncio.sleep(0.5)
    raise AssertionError("unreachable")


async def _as_it_is(_: asyncpg.Connection) -> None:
    """Nothing here changes its session (settings only by `SET LOCAL`), so there is nothing to undo in a round trip."""


async def _speak_text_ids(connection: asyncpg.Connection) -> None:
    """Ids are text in Python and 16 bytes in the database."""
    await connection.set_type_codec("uuid", schema="pg_catalog", encoder=_to_bytes, decoder=_to_text, format="binary")


def _to_bytes(text: str) -> bytes:
    return bytes.fromhex(text.replace("-", ""))


def _to_text(raw: bytes) -> str:
    text = bytes(raw).hex()
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"
