"""The rules of the folders that no tool keeps."""

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

TOP = Path(__file__).parent.parent
ROOTS = tomllib.loads((TOP / "pyproject.toml").read_text())["tool"]["hatch"]["build"]
PARTS = ["allocate", "heartbeat", "resourcemanager", "client", "state", "serving", "suite"]
TARGETS = {
    *("run", "demo", "lab-demo", "tests", "shell", "lint", "test-complexity", "test-security"),
    *("test-lint-docker", "test-lint-shellcheck", "protos", "bench", "clean"),
}
VERBS = TARGETS - {"bench", "lab-demo"}


def listed_by_make(folder: Path) -> set[str]:
    """Return the targets that a plain `make` lists with a description."""
    # The options of a `make` that runs this test are not for this one.
    environ = {k: v for k, v in os.environ.items() if not k.startswith(("MAKE", "MFLAGS"))}
    listing = subprocess.run(
        ["make"], cwd=folder, env=environ, capture_output=True, text=True, check=True
    )
    return set(re.findall(r"^  ([a-z-]+) +\S", listing.stdout, re.MULTILINE))


@pytest.mark.parametrize("root", ROOTS["dev-mode-dirs"])
def test_a_root_holds_one_part_of_the_namespace_and_does_not_close_it(root: str) -> None:
    namespace = TOP / root / "hwprovisioner"
    assert [entry.name for entry in namespace.iterdir() if entry.is_dir()]
    # One such file would make every other part unimportable.
    assert not (namespace / "__init__.py").exists()


def test_every_root_is_packed_into_the_wheel() -> None:
    packed = ROOTS["targets"]["wheel"]["packages"]
    assert packed == [f"{root}/hwprovisioner" for root in ROOTS["dev-mode-dirs"]]


def test_make_lists_every_target() -> None:
    assert listed_by_make(TOP) >= TARGETS


@pytest.mark.parametrize("part", [*PARTS, "protos"])
def test_each_part_has_the_verbs_and_a_readme(part: str) -> None:
    assert listed_by_make(TOP / part) >= VERBS
    assert (TOP / part / "README.md").is_file()


def test_the_lock_names_no_index() -> None:
    assert "://" not in (TOP / "requirements.lock").read_text()


def test_a_shell_runs_in_the_environment() -> None:
    shell = subprocess.run(
        ["make", "shell", 'CMD=echo "$VIRTUAL_ENV"'],
        cwd=TOP,
        capture_output=True,
        text=True,
        check=True,
    )
    assert shell.stdout.strip() == str(TOP / ".venv")


def test_the_picture_of_the_parts_is_what_its_text_describes() -> None:
    drawn = subprocess.run(
        [sys.executable, "tools/draw_parts.py", "--check"], cwd=TOP, capture_output=True, text=True
    )
    assert drawn.returncode == 0, drawn.stderr
