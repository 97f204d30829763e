"""Write protos/gen from protos/**/*.proto, or say where it differs from what they give now.

python tools/protos.py           writes
python tools/protos.py --check   writes elsewhere and compares; exits 1 on a difference
"""

import argparse
import difflib
import os
import subprocess
import sys
import tempfile
from importlib.resources import files
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PROTOS = ROOT / "protos"
GENERATED = PROTOS / "gen"


def generate(target: Path) -> None:
    """Write the messages, the gRPC code and the stubs of both below `target`."""
    sources = sorted(PROTOS.glob("hwprovisioner/**/*.proto"))
    if not sources:
        sys.exit("protos: no .proto file below protos/hwprovisioner")
    command = [
        *(sys.executable, "-m", "grpc_tools.protoc"),
        *(f"--proto_path={folder}" for folder in (PROTOS, PROTOS / "third_party")),
        f"--proto_path={files('grpc_tools') / '_proto'}",
        *(f"--python_out={target}", f"--grpc_python_out={target}"),
        *(f"--mypy_out=quiet:{target}", f"--mypy_grpc_out=quiet:{target}"),
        *(str(source) for source in sources),
    ]
    # protoc looks for mypy-protobuf's programs on PATH; they are beside this Python.
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"
    if subprocess.run(command, env={**os.environ, "PATH": path}).returncode != 0:
        sys.exit("protos: protoc failed")


def contents(folder: Path) -> dict[str, str]:
    """Return every generated file below `folder` by its relative path."""
    return {
        str(file.relative_to(folder)): file.read_text()
        for file in sorted(folder.rglob("*_pb2*.py*"))
        if file.suffix in {".py", ".pyi"}
    }


def write() -> None:
    """Replace what is in protos/gen, so that a removed .proto leaves nothing behind."""
    with tempfile.TemporaryDirectory() as folder:
        generate(Path(folder))
        new = contents(Path(folder))
    for name in contents(GENERATED).keys() - new.keys():
        (GENERATED / name).unlink()
    for name, text in new.items():
        (GENERATED / name).parent.mkdir(parents=True, exist_ok=True)
        (GENERATED / name).write_text(text)
    print(f"protos: {len(new)} files in {GENERATED.relative_to(ROOT)}")


def check() -> None:
    """Exit 1, with the differences, if protos/gen is not what the .proto files give."""
    with tempfile.TemporaryDirectory() as folder:
        generate(Path(folder))
        new = contents(Path(folder))
    old = contents(GENERATED)
    for name in sorted(old.keys() | new.keys()):
        diff = difflib.unified_diff(
            old.get(name, "").splitlines(), new.get(name, "").splitlines(), name, name, lineterm=""
        )
        print(*list(diff)[:20], sep="\n", end="")
    if old != new:
        sys.exit("\nprotos: protos/gen is not what the .proto files give; run `make protos`")
    print("protos: protos/gen is up to date")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="compare instead of writing")
    check() if parser.parse_args().check else write()
