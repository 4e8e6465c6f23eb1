"""Commands talk to the stack that runs in their home, whatever port the shell names."""

import os
import subprocess
from pathlib import Path

import pytest
from typer.testing import CliRunner

from chassis.commands import parser_of
from contracts.rights import OUTSIDE
from paidup_local import cli, rights, state
from paidup_local.errors import StackError
from paidup_local.settings import Settings, env_pairs, env_text, load
from paidup_local.state import Process, State


def running_at(home: Path, port: int) -> Settings:
    """A home whose stack is this very process, by its own account."""
    settings = load({"PAIDUP_HOME": str(home), "PAIDUP_PORT": str(port)})
    me = Process("supervisor", os.getpid(), None, state.started(os.getpid()))
    processes = (Process("gateway", os.getpid(), port), Process("kafka", os.getpid(), port + 11))
    state.write(settings, State(me, True, processes, settings.kafka_address, f"127.0.0.1:{port + 10}"))
    return settings


class TestHome:
    def test_ports_are_those_of_its_stack(self, tmp_path: Path) -> None:
        running_at(tmp_path, 48_080)
        elsewhere = load({"PAIDUP_HOME": str(tmp_path), "PAIDUP_PORT": "18080"})
        found = state.as_it_runs(elsewhere)
        assert (found.port, found.kafka_address, found.port_of("sandbox")) == (48_080, "127.0.0.1:48091", 48_089)

    def test_says_that_nothing_runs(self, tmp_path: Path) -> None:
        with pytest.raises(StackError, match="No stack runs in"):
            state.as_it_runs(load({"PAIDUP_HOME": str(tmp_path)}))

    @pytest.mark.parametrize(
        "words", [["check-money"], ["env", "payments"], ["dead-letters", "list"], ["sandbox", "rules"]]
    )
    def test_command_touches_no_other_stack(
        self, words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("PAIDUP_HOME", str(tmp_path))
        outcome = CliRunner().invoke(cli.app, words)
        assert isinstance(outcome.exception, StackError)

    def test_silent_stack_is_an_error_with_remedy(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        running_at(tmp_path, 48_080)
        monkeypatch.setenv("PAIDUP_HOME", str(tmp_path))
        outcome = CliRunner().invoke(cli.app, ["check-money"])
        assert isinstance(outcome.exception, StackError)
        assert "does not answer" in str(outcome.exception)


class TestDeadLetters:
    @pytest.mark.parametrize(
        ("words", "says"),
        [
            (["replay", "abc", "--service", "payments"], "'abc' is no letter's id"),
            (["replay", "7"], "add --service"),
            (["skip", "7", "--service", "payments"], "use skip ID --service NAME --reason TEXT"),
            (["skip", "--service", "payments", "--reason", "x"], "use skip ID --service NAME --reason TEXT"),
        ],
    )
    def test_missing_argument_is_named(self, words: list[str], says: str) -> None:
        outcome = CliRunner().invoke(cli.app, ["dead-letters", *words])
        assert isinstance(outcome.exception, StackError)
        assert says in str(outcome.exception)

    def test_help_explains_ids_and_reasons(self) -> None:
        text = " ".join(CliRunner().invoke(cli.app, ["dead-letters", "--help"], env={"COLUMNS": "200"}).output.split())
        for word in ("[ID]", "--reason", "--service", "unreadable can only be skipped"):
            assert word in text

    def test_services_own_command_explains_ids(self, capsys: pytest.CaptureFixture[str]) -> None:
        for wrong in ("abc", "0", "9" * 25):
            with pytest.raises(SystemExit):
                parser_of("payments").parse_args(["dead-letters", "skip", wrong, "--reason", "x"])
            assert f"'{wrong}' is no letter's id" in capsys.readouterr().err


class TestEnvFile:
    def test_a_shell_gets_all_it_needs(self, tmp_path: Path) -> None:
        settings = load({"PAIDUP_HOME": str(tmp_path), "PAIDUP_PORT": "18200"})
        settings.env_file.write_text(env_text(settings, "paidup_sk_1", rights.variables(settings, OUTSIDE)))
        script = f". {settings.env_file}; env; command -v paidup"
        said = subprocess.run(["sh", "-c", script], capture_output=True, text=True, env={"PATH": "/usr/bin:/bin"})
        lines = said.stdout.splitlines()
        assert {"PAIDUP_URL=http://127.0.0.1:18200", "PAIDUP_API_KEY=paidup_sk_1"} < set(lines)
        assert {"PAIDUP_MAIL_URL=http://127.0.0.1:18213", "PAIDUP_REPLIES_URL=smtp://127.0.0.1:18215"} < set(lines)
        assert {"PAIDUP_KAFKA=127.0.0.1:18211", "PAIDUP_KAFKA_USER=outside"} < set(lines)
        assert f"PAIDUP_KAFKA_PASSWORD={settings.secret('kafka-outside')}" in lines
        assert lines[-1].endswith("/paidup")

    def test_the_next_stack_does_not_use_its_broker(self, tmp_path: Path) -> None:
        first = load({"PAIDUP_HOME": str(tmp_path), "PAIDUP_PORT": "18200"})
        sourced = env_pairs(env_text(first, "k", rights.variables(first, OUTSIDE)).splitlines())
        assert load(sourced | {"PAIDUP_PORT": "18300"}).kafka_address == "127.0.0.1:18311"
        assert load(sourced | {"PAIDUP_KAFKA": "broker:9092"}).kafka_address == "broker:9092"
