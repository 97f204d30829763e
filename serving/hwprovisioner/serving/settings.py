"""Settings from the environment: typed, all faults at once, `--help` from the same declarations.

A service declares its settings by reading them::

    @dataclass(frozen=True, slots=True)
    class Settings:
        lab: str

        @classmethod
        def read(cls, env: EnvReader) -> Self:
            return cls(lab=env.text("HWP_LAB", "...", default="default"))

        @classmethod
        def from_env(cls, environ: Mapping[str, str]) -> Self:
            return from_env(cls, environ)
"""

import difflib
import re
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, Self, TypeVar

from hwprovisioner.serving.known_names import KNOWN_NAMES, KNOWN_PREFIXES

_PREFIX = "HWP_"
_UNITS_MS = {"ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
_DURATION = re.compile(r"([0-9]{1,12}(?:\.[0-9]{1,9})?)(ms|s|m|h|d)")
_FLAGS = {"1": True, "true": True, "yes": True, "on": True}
_FLAGS |= {"0": False, "false": False, "no": False, "off": False}


class SettingsError(Exception):
    """The environment does not make valid settings.

    Attributes:
        faults: one sentence each, all there are.
    """

    def __init__(self, faults: Sequence[str]) -> None:
        super().__init__("\n".join(faults))
        self.faults = tuple(faults)


@dataclass(frozen=True, slots=True)
class Declaration:
    """A setting, as `--help` shows it."""

    name: str
    default: str
    meaning: str


class EnvReader:
    """Reads settings from an environment, and notes what is read and what is wrong.

    Where a value is wrong the default stands in, so that reading goes on; `check` reports it.
    An empty value is the same as none.
    """

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ
        self._declarations: dict[str, Declaration] = {}
        self._faults: list[str] = []

    def text(self, name: str, meaning: str, *, default: str = "", pattern: str = "") -> str:
        """Read a text, which must match all of `pattern` if one is given."""
        value = self._declared(name, meaning, default or "none")
        if value is None:
            return default
        if pattern and not re.fullmatch(pattern, value):
            self.fault(f"{name}={value}: does not match {pattern}")
            return default
        return value

    def secret(self, name: str, meaning: str) -> str:
        """Read a text that no message shows; empty if there is none."""
        return self._declared(name, meaning, "none") or ""

    def integer(self, name: str, meaning: str, *, default: int, low: int, high: int) -> int:
        """Read a whole number from `low` to `high`."""
        value = self._declared(name, meaning, str(default))
        if value is None:
            return default
        if re.fullmatch(r"[+-]?[0-9]{1,18}", value) and low <= int(value) <= high:
            return int(value)
        self.fault(f"{name}={value}: is not a whole number from {low} to {high}")
        return default

    def duration_ms(
        self, name: str, meaning: str, *, default: str, low: str = "0ms", high: str = "365d"
    ) -> int:
        """Read a duration such as ``500ms``, ``10s`` or ``5m`` from `low` to `high`, in ms."""
        value = self._declared(name, meaning, default)
        if value is None:
            return parse_duration_ms(default)
        try:
            duration_ms = parse_duration_ms(value)
        except ValueError:
            self.fault(f"{name}={value}: is not a duration such as 500ms, 10s, 5m, 2h or 1d")
            return parse_duration_ms(default)
        if parse_duration_ms(low) <= duration_ms <= parse_duration_ms(high):
            return duration_ms
        self.fault(f"{name}={value}: is not from {low} to {high}")
        return parse_duration_ms(default)

    def choice(self, name: str, meaning: str, *, default: str, choices: Sequence[str]) -> str:
        """Read one of `choices`, in upper or lower case."""
        value = self._declared(name, f"{meaning}: {', '.join(choices)}", default)
        if value is None:
            return default
        for choice in choices:
            if value.casefold() == choice.casefold():
                return choice
        self.fault(
            f"{name}={value}: is none of {', '.join(choices)}{_did_you_mean(value, choices)}"
        )
        return default

    def flag(self, name: str, meaning: str, *, default: bool) -> bool:
        """Read yes or no: 1, true, yes, on, 0, false, no, off."""
        value = self._declared(name, meaning, "yes" if default else "no")
        if value is None:
            return default
        if (flag := _FLAGS.get(value.casefold())) is None:
            self.fault(f"{name}={value}: is none of {', '.join(_FLAGS)}")
            return default
        return flag

    def path(self, name: str, meaning: str, *, default: Path | None = None) -> Path | None:
        """Read a path; `~` is the home folder."""
        value = self._declared(name, meaning, "none" if default is None else str(default))
        if value is None:
            return default
        try:
            return Path(value).expanduser()
        except RuntimeError as error:
            self.fault(f"{name}={value}: {error}")
            return default

    def fault(self, sentence: str) -> None:
        """Note that something is wrong, to be reported by `check`."""
        self._faults.append(sentence)

    def check(self) -> None:
        """Report what is wrong with all that was read, and each unknown ``HWP_`` name.

        Raises:
            SettingsError: something is.
        """
        known = KNOWN_NAMES | self._declarations.keys()
        unknown = (
            f"{name}: there is no such setting{_did_you_mean(name, sorted(known))}"
            for name in sorted(self._environ)
            if name.startswith(_PREFIX) and name not in known
            if not name.startswith(KNOWN_PREFIXES)
        )
        faults = [*self._faults, *unknown]
        if faults:
            raise SettingsError(faults)

    def help_text(self) -> str:
        """Return all that was read as lines for `--help`: name, default, meaning."""
        entries = (
            textwrap.fill(
                f"{entry.meaning} (default: {entry.default})",
                width=96,
                initial_indent=f"  {entry.name:<26}",
                subsequent_indent=" " * 28,
                break_on_hyphens=False,
            )
            for entry in self._declarations.values()
        )
        return "\n".join(entries)

    def _declared(self, name: str, meaning: str, default: str) -> str | None:
        self._declarations[name] = Declaration(name, default, meaning)
        return self._environ.get(name, "").strip() or None


class Readable(Protocol):
    """Settings that can be read from an environment."""

    @classmethod
    def read(cls, env: EnvReader) -> Self:
        """Read every setting; leave the checking to the caller."""


SettingsT = TypeVar("SettingsT", bound=Readable)


def from_env(settings: type[SettingsT], environ: Mapping[str, str]) -> SettingsT:
    """Read settings from an environment.

    Raises:
        SettingsError: something is wrong with them.
    """
    env = EnvReader(environ)
    result = settings.read(env)
    env.check()
    return result


def help_text(settings: type[Readable]) -> str:
    """Return what `--help` says about settings."""
    env = EnvReader({})
    settings.read(env)
    return f"settings, from the environment:\n{env.help_text()}"


def parse_duration_ms(text: str) -> int:
    """Return the milliseconds in ``500ms``, ``10s``, ``5m``, ``2h`` or ``1.5d``.

    Raises:
        ValueError: it is not written so.
    """
    match = _DURATION.fullmatch(text)
    if match is None:
        raise ValueError(text)
    return round(float(match[1]) * _UNITS_MS[match[2]])


def _did_you_mean(wrong: str, right: Sequence[str]) -> str:
    close = difflib.get_close_matches(wrong, right, n=1)
    return f"; did you mean {close[0]}?" if close else ""
