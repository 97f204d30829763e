"""A Redis whose clock the test sets, with libfaketime."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

from support.needs import missing
from support.redis_server import RedisServer


class SetClock:
    """Tells a process what time it is: so much more, or less, than it really is."""

    def __init__(self, file: Path) -> None:
        libraries = sorted(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"))
        if not libraries:
            missing("libfaketime (Debian: faketime)")
        self._file = file
        self.environ = {
            "LD_PRELOAD": str(libraries[0]),
            "FAKETIME_TIMESTAMP_FILE": str(file),
            "FAKETIME_NO_CACHE": "1",
            # As when a clock is set: what waits goes on waiting.
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        }
        self.set(0)

    def set(self, ahead_s: int) -> None:
        """Set the clock to so many seconds ahead of the true time."""
        new = self._file.with_suffix(".new")
        new.write_text(f"{ahead_s:+d}\n")
        new.rename(self._file)


@contextlib.contextmanager
def redis_with_a_clock(folder: Path) -> Iterator[tuple[RedisServer, SetClock]]:
    """Run a Redis until the block ends."""
    clock = SetClock(folder / "clock")
    server = RedisServer(environ=clock.environ)
    try:
        server.start()
        yield server, clock
    finally:
        server.close()
