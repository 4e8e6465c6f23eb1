"""What a service's command line decides: letters and tasks that wait for a person."""

from __future__ import annotations

import argparse
import json
import sys
from typing import Any

import asyncpg

from chassis.messaging import dead_letters
from chassis.settings import ServiceSettings
from chassis.tasks import queue as tasks


def parser_of(name: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=f"python -m {name}")
    commands = parser.add_subparsers(dest="command")
    for command in ("serve", "work"):
        commands.add_parser(command)
    choices = commands.add_parser("tasks").add_subparsers(dest="action", required=True)
    choices.add_parser("list", help="tasks that failed too often, with their errors")
    for action, says in (("retry", "try a task again"), ("drop", "give a task up")):
        choice = choices.add_parser(action, help=says)
        choice.add_argument("queue")
        choice.add_argument("id")
    actions = commands.add_parser("dead-letters").add_subparsers(dest="action", required=True)
    actions.add_parser("list", help="what waits for a person or a retry, with its id and its error")
    replaying = actions.add_parser("replay", help="try again now, in order")
    replaying.add_argument(
        "id", type=_letter_id, nargs="?", help="a letter, with all of its key; all keys when left out"
    )
    skipping = actions.add_parser("skip", help="give one letter up; what waits behind it goes on")
    skipping.add_argument(
        "id", type=_letter_id, help="the first letter that waits of its key, or one that can't be read"
    )
    skipping.add_argument("--reason", required=True, help="why, for those who ask later; it is kept with the letter")
    return parser


async def decide_letters(settings: ServiceSettings, arguments: argparse.Namespace) -> str | None:
    """Carry out a `dead-letters` command. Returns what went wrong, in a sentence, else None."""
    connection = await asyncpg.connect(settings.work_url)
    try:
        answer: Any
        if arguments.action == "list":
            answer = {"items": await dead_letters.listing(connection)}
        elif arguments.action == "replay":
            answer = {"replaying": await dead_letters.replay(connection, arguments.id)}
        else:
            await dead_letters.skip(connection, arguments.id, arguments.reason)
            answer = {"skipped": True}
    except dead_letters.RefusedError as error:
        return str(error)
    finally:
        await connection.close()
    sys.stdout.write(json.dumps(answer, default=str) + "\n")
    return None


async def decide_tasks(settings: ServiceSettings, arguments: argparse.Namespace) -> str | None:
    """List tasks that were set aside, or decide on one; what goes wrong, in a sentence, else None."""
    connection = await asyncpg.connect(settings.work_url)
    try:
        if arguments.action == "list":
            answer: Any = {"items": await tasks.listing(connection)}
        else:
            decide = tasks.retry if arguments.action == "retry" else tasks.drop
            if not await decide(connection, arguments.queue, arguments.id):
                return (
                    f"No task {arguments.id!r} of {arguments.queue!r} is set aside: `tasks list` shows those that are."
                )
            answer = {arguments.action: arguments.id}
    finally:
        await connection.close()
    sys.stdout.write(json.dumps(answer, default=str) + "\n")
    return None


def _letter_id(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 0 < int(text[:20]) < 2**63):
        raise argparse.ArgumentTypeError(f"{text!r} is no letter's id: `dead-letters list` shows them, as 7")
    return int(text)
