"""Pin every third-party requirement of all members with hashes: `python requirements/lock.py`.

What is pinned already stays as it is; `--upgrade` takes the newest of all.
"""

import pathlib
import subprocess
import sys
import tomllib

ROOT = pathlib.Path(__file__).parents[1]
SERVICES = sorted(str(path.parent.relative_to(ROOT)) for path in ROOT.glob("services/*/pyproject.toml"))
MEMBERS = ["contracts", *SERVICES, "deploy/local", "deploy/sandbox"]
OPTIONS = (
    "--universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links"
    " --no-header --no-annotate -q"
)


def third_party() -> list[str]:
    """Requirements of all members, without the members themselves."""
    wanted: set[str] = set()
    for member in MEMBERS:
        project = tomllib.loads((ROOT / member / "pyproject.toml").read_text())["project"]
        wanted |= {need for need in project["dependencies"] if not need.startswith("paidup-")}
    return sorted(wanted)


def compile_pins(lines: list[str], target: str, *extra: str) -> None:
    options = [*OPTIONS.split(), *extra, *sys.argv[1:], "-o", f"requirements/{target}"]
    command = [sys.executable, "-m", "uv", "pip", "compile", "-", *options]
    subprocess.run(command, input="\n".join(lines), text=True, check=True, cwd=ROOT)  # noqa: S603


if __name__ == "__main__":
    compile_pins(third_party(), "runtime.txt")
    install, dev = ((ROOT / "requirements" / name).read_text().splitlines() for name in ("install.in", "dev.in"))
    compile_pins(install, "install.txt", "-c", "requirements/runtime.txt")
    compile_pins([*third_party(), *install, *dev], "dev.txt", "-c", "requirements/runtime.txt")
    for name in ("clients", "node"):
        compile_pins((ROOT / f"requirements/{name}.in").read_text().splitlines(), f"{name}.txt")
