"""The registry of services agrees with what the services do."""

import importlib
import sys
from pathlib import Path

import pytest

from chassis.db import migrate
from chassis.service import Service
from chassis.settings import ServiceSettings
from contracts.services import SERVICES, WITH_DATABASE
from contracts.topics import OUTCOMES, TOPICS
from gateway.ring import STREAMED
from gateway.routes import OWNERS
from gateway.settings import urls
from gateway.tail import CREDENTIALS
from paidup_local import check_money, plan, postgres
from paidup_local.settings import MAX_REPLICAS, Settings

SERVICES_PLANNED = 5
LOOKERS = 20  # people, tools and the server's own reserve


class TestRegistry:
    def test_places_in_block_are_free(self) -> None:
        ports = [service.port for service in SERVICES]
        assert len(set(ports)) == len(ports)
        assert set(ports) <= {0, 1, 2, 3, 5, 6, 7, 8}

    def test_every_topic_has_owner(self) -> None:
        assert {topic.owner for topic in TOPICS} <= {service.name for service in SERVICES}

    def test_no_path_has_two_owners(self) -> None:
        paths = [each.path for service in SERVICES for each in service.paths]
        assert len(set(paths)) == len(paths)

    @pytest.mark.parametrize("name", WITH_DATABASE)
    def test_handlers_hear_what_is_declared(self, name: str) -> None:
        service: Service = importlib.import_module(f"{name}.__main__").service
        declared = next(one for one in SERVICES if one.name == name)
        assert sorted({topic for each in service.handlers for topic in each.topics()}) == sorted(declared.hears)
        assert all(each.consumer == name or each.consumer.startswith(f"{name}-") for each in service.handlers)

    def test_gateway_reads_what_is_declared(self) -> None:
        gateway = next(one for one in SERVICES if one.name == "gateway")
        assert {*STREAMED, *(place.topic for place in CREDENTIALS)} == set(gateway.reads)

    def test_gateway_names_missing_address(self) -> None:
        known = {f"GATEWAY_{owner.upper()}_URL": "http://127.0.0.1:1" for owner in OWNERS if owner != "payments"}
        with pytest.raises(ValueError, match="GATEWAY_PAYMENTS_URL: set"):
            urls(known)

    def test_local_variables_are_filled_in(self, tmp_path: Path) -> None:
        settings = Settings(tmp_path, 20_000, tmp_path, replicas=2)
        found = plan.decided(settings, "payments")
        assert found["PAYMENTS_PROVIDER_URL"] == "http://127.0.0.1:20009"
        assert found["PAYMENTS_PROVIDER_KEY"] == plan.decided(settings, "sandbox")["SANDBOX_KEY"]
        assert plan.decided(settings, "gateway")["GATEWAY_AUTH_URL"] == "http://127.0.0.1:20001,http://127.0.0.1:20021"

    def test_only_answers_to_commands_are_uncounted(self) -> None:
        """Of every other topic check-money knows how many events its service has emitted."""
        said = {topic.name: service.name for service in SERVICES for topic in service.says}
        uncounted = {topic for topic, name in said.items() if f"'{topic}'" not in check_money.EMITTED[name]}
        assert uncounted == {OUTCOMES.name}


class TestConnections:
    def test_all_replicas_fit_the_server(self) -> None:
        most = SERVICES_PLANNED * MAX_REPLICAS * ServiceSettings().most_connections
        assert most + LOOKERS <= int(postgres.OPTIONS["max_connections"])


class TestMigrations:
    def test_command_names_missing_address(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(sys, "argv", ["migrate", "invoicing"])
        monkeypatch.delenv("INVOICING_OWNER_URL", raising=False)
        with pytest.raises(SystemExit, match="INVOICING_OWNER_URL is not set"):
            migrate.main()

    def test_folder_is_beside_the_package(self) -> None:
        assert (migrate.folder_of("payments") / "0001_payments.sql").exists()
        with pytest.raises(LookupError, match="no package nobody"):
            migrate.folder_of("nobody")
