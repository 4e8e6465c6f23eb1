"""Checks the lengths of test names and of commit subjects. `make lint` runs it.

A test's name has at most 8 words after `test_`, a commit's subject at most 72 characters.
"""

import ast
import subprocess
import sys
from pathlib import Path

WORDS = 8
SUBJECT = 72


def words(name: str) -> int:
    return len([word for word in name.removeprefix("test_").split("_") if word])


def long_names(source: str) -> list[tuple[int, str]]:
    """Line and name of each test in `source` that has too many words."""
    tests = [
        node
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_")
    ]
    return [(test.lineno, test.name) for test in tests if words(test.name) > WORDS]


def faults_of_tests(found: dict[str, list[tuple[int, str]]]) -> list[str]:
    """Faults of `found`: file to its long names."""
    return [
        f"{path}:{line}: {name} has {words(name)} words, at most {WORDS} are allowed. Remedy: group tests in a class"
        for path, names in found.items()
        for line, name in names
    ]


def faults_of_subjects(subjects: list[str]) -> list[str]:
    return [
        f"The commit subject {subject!r} has {len(subject)} characters, at most {SUBJECT} are allowed."
        " Remedy: git commit --amend, or git rebase -i for an older commit"
        for subject in subjects
        if len(subject) > SUBJECT
    ]


def subjects_of(root: Path) -> list[str]:
    """The subjects of all commits since this file was added; none where git or its history is missing."""
    added = _git(root, "log", "--diff-filter=A", "--format=%H", "--", "tests/names.py")
    return _git(root, "log", "--format=%s", f"{added[-1]}..HEAD") if added else []


def _git(root: Path, *arguments: str) -> list[str]:
    try:
        done = subprocess.run(["git", *arguments], cwd=root, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return []
    return done.stdout.splitlines() if done.returncode == 0 else []


def main() -> None:
    root = Path(__file__).parent.parent
    found = {
        path.relative_to(root).as_posix(): long_names(path.read_text("utf-8"))
        for path in sorted((root / "tests").rglob("*.py"))
    }
    faults = faults_of_tests(found) + faults_of_subjects(subjects_of(root))
    print("\n".join(faults) if faults else "Names of tests and subjects of commits are short enough.")
    sys.exit(bool(faults))


if __name__ == "__main__":
    main()
