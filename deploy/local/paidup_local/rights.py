"""Passwords and rights at the stack's own broker: who may write and read which topic."""

from __future__ import annotations

import asyncio
import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from chassis.settings import KafkaSettings
from contracts.rights import ADMIN, Right, principals, rights
from paidup_local.errors import StackError
from paidup_local.settings import Settings, write_private

if TYPE_CHECKING:
    from concurrent.futures import Future

    from confluent_kafka.admin import AclBinding, AdminClient

SECURITY, MECHANISM = "SASL_PLAINTEXT", "SCRAM-SHA-512"
SECONDS = 30


def variables(settings: Settings, principal: str) -> dict[str, str]:
    """What a process sets to reach Kafka as this principal; for a broker of your own they come from your variables."""
    found = {"PAIDUP_KAFKA": settings.kafka_address}
    if settings.kafka:
        return found
    return found | {
        "PAIDUP_KAFKA_SECURITY": SECURITY,
        "PAIDUP_KAFKA_MECHANISM": MECHANISM,
        "PAIDUP_KAFKA_USER": principal,
        "PAIDUP_KAFKA_PASSWORD": settings.secret(f"kafka-{principal}"),
    }


def client(settings: Settings, principal: str = ADMIN) -> dict[str, Any]:
    """The arguments of a Kafka client of this stack."""
    if settings.kafka:
        return KafkaSettings(kafka=settings.kafka).kafka_client()
    word = settings.secret(f"kafka-{principal}")
    return KafkaSettings.model_validate(
        {"kafka": settings.kafka_address, "kafka_security": SECURITY, "kafka_mechanism": MECHANISM,
         "kafka_user": principal, "kafka_password": word, "kafka_password_file": None}
    ).kafka_client()  # fmt: skip


def are_given(settings: Settings) -> bool:
    """Whether an earlier start has given the broker its passwords, rights and topics."""
    return _mark(settings).exists()


def _mark(settings: Settings) -> Path:
    return settings.home / "kafka/rights"


async def apply(settings: Settings) -> None:
    """Give the broker every password and right, where any of them has changed; rights that are no more are taken."""
    words = {name: settings.secret(f"kafka-{name}") for name in (ADMIN, *principals())}
    text = f"{sorted(words.items())} {rights()}"
    mark, digest = _mark(settings), hashlib.sha256(text.encode()).hexdigest()
    if mark.exists() and mark.read_text() == digest:
        return
    await asyncio.to_thread(_apply, settings.kafka_address, words)
    await _until_known(settings)
    write_private(mark, digest)


async def _until_known(settings: Settings) -> None:
    """The broker answers before it knows the new passwords itself: wait until one of them is taken."""
    from aiokafka.admin import AIOKafkaAdminClient
    from aiokafka.errors import KafkaError

    for _ in range(10 * SECONDS):
        admin = AIOKafkaAdminClient(**client(settings))
        try:
            await admin.start()
            return
        except KafkaError:
            await asyncio.sleep(0.1)
        finally:
            await admin.close()
    raise StackError("Kafka does not take the password that it was given.", "read kafka.log.")


def _apply(address: str, words: dict[str, str]) -> None:
    from confluent_kafka import KafkaException
    from confluent_kafka.admin import AdminClient

    admin = AdminClient(
        {"bootstrap.servers": address, "security.protocol": SECURITY, "sasl.mechanism": "PLAIN",
         "sasl.username": ADMIN, "sasl.password": words[ADMIN], "log_level": 0}
    )  # fmt: skip
    try:
        _set_passwords(admin, words)
        _set_rights(admin)
    except KafkaException as problem:
        raise StackError(
            f"Kafka did not take the rights of deploy/acls.yaml: {problem}.", "read kafka.log."
        ) from problem


def _set_passwords(admin: AdminClient, words: dict[str, str]) -> None:
    from confluent_kafka.admin import (
        ScramCredentialInfo,
        ScramMechanism,
        UserScramCredentialAlteration,
        UserScramCredentialUpsertion,
    )

    kind = ScramCredentialInfo(ScramMechanism.SCRAM_SHA_512, 4096)
    wanted: list[UserScramCredentialAlteration] = [
        UserScramCredentialUpsertion(name, kind, word.encode()) for name, word in words.items()
    ]
    _await(admin.alter_user_scram_credentials(wanted, request_timeout=SECONDS))


def _set_rights(admin: AdminClient) -> None:
    from confluent_kafka.admin import (
        AclBinding,
        AclBindingFilter,
        AclOperation,
        AclPermissionType,
        ResourcePatternType,
        ResourceType,
    )

    anything: Any = None
    everything = AclBindingFilter(
        ResourceType.ANY, anything, ResourcePatternType.ANY, anything, anything, AclOperation.ANY, AclPermissionType.ANY
    )
    there = set(admin.describe_acls(everything, request_timeout=SECONDS).result())

    def binding(right: Right, operation: str) -> AclBinding:
        return AclBinding(
            ResourceType[right.resource.upper()], right.name, ResourcePatternType[right.pattern.upper()],
            f"User:{right.principal}", "*", AclOperation[operation.upper()], AclPermissionType.ALLOW,
        )  # fmt: skip

    wanted = {binding(right, operation) for right in rights() for operation in right.operations}
    if new := wanted - there:
        _await(admin.create_acls(list(new), request_timeout=SECONDS))
    if old := there - wanted:
        exactly = [
            AclBindingFilter(
                one.restype, one.name, one.resource_pattern_type, one.principal, one.host, one.operation,
                one.permission_type,
            ) for one in old
        ]  # fmt: skip
        _await(admin.delete_acls(exactly, request_timeout=SECONDS))


def _await(futures: dict[Any, Future[Any]]) -> None:
    for future in futures.values():
        future.result(SECONDS)
