"""Clients generated from the API's document by other people's generators, in Python and in TypeScript."""

import contextlib
import hashlib
import os
import pathlib
import shutil
import subprocess
import sys

from paidup_local.settings import cache_folder

HERE = pathlib.Path(__file__).parents[1] / "clients"
ROOT = HERE.parents[1]
DOCUMENT = ROOT / "contracts" / "openapi.json"
PINS = ROOT / "requirements" / "clients.txt"


def python_client(folder: pathlib.Path) -> tuple[pathlib.Path, str]:
    """Generate `paidup_client` into the folder; gives the Python that can import it, and what the generator said."""
    home = _environment()
    tools = {**os.environ, "PATH": f"{pathlib.Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    said = _run(
        str(home / "bin" / "openapi-python-client"), "generate", "--path", str(DOCUMENT), "--meta", "none",
        "--output-path", str(folder / "paidup_client"), env=tools,
    )  # fmt: skip
    return home / "bin" / "python", said


def _environment() -> pathlib.Path:
    """The generator and what its clients need, apart from the project's own packages; kept in the cache."""
    digest = hashlib.sha256(PINS.read_bytes()).hexdigest()[:16]
    home = cache_folder() / "clients" / digest
    if not home.exists():
        fresh = home.with_name(f"{digest}.{os.getpid()}")
        uv = str(pathlib.Path(sys.executable).with_name("uv"))
        _run(uv, "venv", "--quiet", "--relocatable", "--python", sys.executable, str(fresh))
        _run(
            uv,
            "pip",
            "install",
            "--quiet",
            "--system-certs",
            "--require-hashes",
            "--python",
            str(fresh),
            "-r",
            str(PINS),
        )
        with contextlib.suppress(OSError):  # another process was quicker
            fresh.rename(home)
        shutil.rmtree(fresh, ignore_errors=True)
    return home


def typescript_client(folder: pathlib.Path) -> pathlib.Path | str:
    """Compile the walk against types generated into the folder; gives its JavaScript, or why there is none."""
    npm = shutil.which("npm")
    if npm is None:
        return "Node is not installed, so there is no TypeScript client"
    for name in ("package.json", "package-lock.json", "tsconfig.json", "walk.ts"):
        shutil.copy(HERE / "typescript" / name, folder / name)
    _run(npm, "ci", "--no-audit", "--no-fund", "--prefer-offline", cwd=folder)
    types = ["--default-non-nullable=false", "-o", "api.d.ts"]
    _run(str(folder / "node_modules/.bin/openapi-typescript"), str(DOCUMENT), *types, cwd=folder)
    _run(str(folder / "node_modules/.bin/tsc"), "-p", ".", cwd=folder)
    return folder / "built" / "walk.js"


def _run(*command: str, cwd: pathlib.Path | None = None, env: dict[str, str] | None = None) -> str:
    done = subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True)
    assert done.returncode == 0, f"{command[0]}: {done.stdout[-2000:]}{done.stderr[-2000:]}"
    return done.stdout + done.stderr
