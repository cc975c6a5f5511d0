"""Builds a mapping into a component: `python -m kilofold_plugin build`."""

import shutil
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

ENTRY = """
from kilofold_plugin import plugin

plugin.PROJECT.update({project!r})

from kilofold_plugin.guest import About, Json
"""


def fail(message: str) -> None:
    """Says what is wrong, and ends."""
    sys.exit(f"kilofold_plugin: {message}")


def contract() -> Path:
    """The contract: beside this package, or where its repository keeps it."""
    own = Path(__file__).resolve().parent
    found = [path for path in (own / "wit", own.parents[2] / "wit") if path.is_dir()]
    if not found:
        fail("the contract, mapping.wit, is not beside kilofold_plugin")
    return found[0]


def build() -> None:
    """Builds mapping.py into dist/NAME.wasm."""
    if not Path("mapping.py").exists():
        fail("there is no mapping.py here")
    about = tomllib.loads(Path("pyproject.toml").read_text()) if Path("pyproject.toml").exists() else {}
    about = about.get("project", {})
    project = {
        "name": about.get("name", "mapping"),
        "version": about.get("version", "0.0.0"),
        "description": about.get("description", ""),
    }
    tool = Path(sys.executable).with_name("componentize-py")
    program = str(tool) if tool.exists() else shutil.which("componentize-py")
    if program is None:
        fail("componentize-py is not installed; run: pip install -r requirements.txt")
    out = Path("dist") / f"{project['name']}.wasm"
    out.parent.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        # Only what the mapping is made of, so that neither tests nor the environment are inside the component.
        staged = Path(folder)
        for path in Path().glob("*.py"):
            shutil.copy(path, staged)
        for path in (it.parent for it in Path().glob("*/__init__.py") if it.parent.name not in ("tests", "test")):
            shutil.copytree(path, staged / path.name, ignore=shutil.ignore_patterns("__pycache__"))
        own = Path(__file__).resolve().parent
        shutil.copytree(
            own,
            staged / own.name,
            ignore=shutil.ignore_patterns("__pycache__", "__main__.py", "testing.py", "wit"),
            dirs_exist_ok=True,
        )
        (staged / "kilofold_entry.py").write_text(ENTRY.format(project=project))
        command = [program, "--quiet", "--wit-path", str(contract()), "--world", "json-mapper", "componentize"]
        command += ["--stub-wasi", "--python-path", folder, "--output", str(out), "kilofold_entry"]
        if subprocess.run(command).returncode != 0:
            fail("the component cannot be made; the reason stands above")
    print(f"{out}: {out.stat().st_size // 1024} KB")


if __name__ == "__main__":
    if sys.argv[1:] != ["build"]:
        fail("say 'build'")
    build()
