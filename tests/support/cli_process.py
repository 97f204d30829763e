"""`hwp` as a process."""

import asyncio
import sys

HWP = (sys.executable, "-m", "hwprovisioner.client.cli")


class Hwp:
    """A run of `hwp`."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process

    async def ends(self) -> tuple[int, str, str]:
        """Its exit code, stdout and stderr."""
        out, err = await self.process.communicate()
        assert self.process.returncode is not None
        assert b"Traceback" not in (err or b"")
        return self.process.returncode, (out or b"").decode(), (err or b"").decode()

    async def is_over(self) -> None:
        """Kill it if it still runs, and close our ends of its pipes, whoever has the others."""
        self.process._transport.close()  # type: ignore[attr-defined]  # nothing public does
        await self.process.wait()

    async def says(self, words: str) -> None:
        """Read its stderr until it says that."""
        assert self.process.stderr
        async with asyncio.timeout(20):
            while words not in (line := (await self.process.stderr.readline()).decode()):
                assert line, f"it never said {words!r}"


class Starter:
    """Starts `hwp`, and keeps what it started."""

    def __init__(self, environment: dict[str, str]) -> None:
        self.environment = environment
        self.runs: list[Hwp] = []

    async def __call__(self, *words: str, **streams: int) -> Hwp:
        pipe = asyncio.subprocess.PIPE
        process = await asyncio.create_subprocess_exec(
            *HWP,
            *words,
            env=self.environment,
            # No terminal, wherever the tests are run from.
            start_new_session=True,
            **{"stdin": asyncio.subprocess.DEVNULL, "stdout": pipe, "stderr": pipe, **streams},  # type: ignore[arg-type]
        )
        self.runs.append(Hwp(process))
        return self.runs[-1]


def shell(script: str) -> tuple[str, ...]:
    """Return the words that have `hwp run` run a script."""
    return ("--", "sh", "-c", script)
