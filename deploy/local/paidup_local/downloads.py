"""Jars of Kafka and PostgreSQL: fetched once from Maven, checked against jars.lock, kept in the cache.

`python -m paidup_local.downloads` resolves the wanted coordinates anew and rewrites jars.lock.
"""

import contextlib
import hashlib
import pathlib
import tempfile
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed

from paidup_local.errors import StackError
from paidup_local.settings import cache_folder

LOCK = pathlib.Path(__file__).with_name("jars.lock")
POSTGRES_PLATFORMS = ("linux-amd64", "linux-arm64v8", "darwin-amd64", "darwin-arm64v8")
POSTGRES = "io.zonky.test.postgres:embedded-postgres-binaries-{platform}:18.6.0"
KAFKA = "org.apache.kafka:kafka_2.13:4.1.2"
KAFKA_LOGS = "org.apache.logging.log4j:log4j-slf4j-impl:2.25.3"
Say = Callable[[str], None]


def locked() -> dict[str, str]:
    """Every pinned coordinate with the SHA-256 of its jar."""
    return dict(line.split() for line in LOCK.read_text().splitlines())


def kafka_jars() -> list[str]:
    return [one for one in locked() if not one.startswith("io.zonky.")]


def fetch(coordinates: Iterable[str], cache: pathlib.Path, say: Say, title: str) -> list[pathlib.Path]:
    """Paths of the jars in the cache; those not there yet are downloaded, four at a time."""
    pins = locked()
    wanted = {one: _place(one, cache) for one in coordinates}
    absent = [one for one, path in wanted.items() if not path.exists()]
    if absent:
        say(f"downloading {title} ({len(absent)} files, kept in {cache})")
        with ThreadPoolExecutor(4) as pool:
            running = [pool.submit(_download, one, wanted[one], pins[one]) for one in absent]
            try:
                for done, future in enumerate(as_completed(running), start=1):
                    future.result()
                    if done % 10 == 0 or done == len(absent):
                        say(f"downloading {title}: {done} of {len(absent)}")
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                raise
    return list(wanted.values())


def _place(coordinate: str, cache: pathlib.Path) -> pathlib.Path:
    _, artifact, version = coordinate.split(":")
    return cache / "jars" / f"{artifact}-{version}.jar"


def _download(coordinate: str, target: pathlib.Path, digest: str) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent) as scratch, _explained(coordinate, target):
        got = _resolve(coordinate, pathlib.Path(scratch))
        if (found := hashlib.sha256(got.read_bytes()).hexdigest()) != digest:
            raise ValueError(f"its SHA-256 is {found}, not {digest} as pinned")
        got.replace(target)


def _resolve(coordinate: str, folder: pathlib.Path) -> pathlib.Path:
    context = _maven(folder)
    return pathlib.Path(context.create_dependency(coordinate).artifact.resolve())


def _maven(folder: pathlib.Path):  # type: ignore[no-untyped-def]
    import os

    import truststore
    from jgo.maven import MavenContext

    truststore.inject_into_ssl()  # the machine's own authorities, as of a company's proxy
    mirror = os.environ.get("PAIDUP_MAVEN")
    return MavenContext(repo_cache=folder, timeout=60, remote_repos={"mirror": mirror} if mirror else None)


@contextlib.contextmanager
def _explained(coordinate: str, target: pathlib.Path) -> Iterator[None]:
    try:
        yield
    except (OSError, RuntimeError, ValueError) as problem:  # requests' errors are OSErrors
        raise StackError(
            f"Could not download {coordinate}: {problem}",
            "check the network and try again (what is complete is kept); behind a proxy set HTTPS_PROXY, and\n"
            "  SSL_CERT_FILE where it has a certificate authority of its own;\n"
            f"  with a Maven mirror set PAIDUP_MAVEN to its address, or place the file at {target} yourself.",
        ) from problem


def relock() -> None:
    """Resolve KAFKA with all it needs, and write the hashes of all jars to jars.lock.

    KAFKA is resolved alone: jgo lets the version tables of every input rule over the whole.
    """
    with tempfile.TemporaryDirectory() as scratch:
        context = _maven(pathlib.Path(scratch))
        inputs, others = context.resolver.resolve([context.create_dependency(KAFKA)])
        found = {f"{one.groupId}:{one.artifactId}:{one.version}" for one in [*inputs, *others]} | {KAFKA_LOGS}
        found |= {POSTGRES.format(platform=platform) for platform in POSTGRES_PLATFORMS}
        lines = [f"{one} {_hash_of(one, pathlib.Path(scratch))}\n" for one in sorted(found)]
    LOCK.write_text("".join(lines))


def _hash_of(coordinate: str, folder: pathlib.Path) -> str:
    path = _resolve(coordinate, folder)
    kept = _place(coordinate, cache_folder())
    kept.parent.mkdir(parents=True, exist_ok=True)
    kept.write_bytes(path.read_bytes())
    return hashlib.sha256(path.read_bytes()).hexdigest()


if __name__ == "__main__":
    relock()
