"""Reads a scenario file. All of its problems are found at once, each with its line."""

import os

from hwprovisioner.allocate.demand import SetDemand
from hwprovisioner.allocate.policy import Policy
from hwprovisioner.allocate.policy_file import policy_of
from hwprovisioner.allocate.simulate.demand_form import read_demands
from hwprovisioner.allocate.simulate.form import Form, span_of
from hwprovisioner.allocate.simulate.machines_form import read_machines
from hwprovisioner.allocate.simulate.scenario import Arrivals, Lasting, Law, Scenario, Stream
from hwprovisioner.serving.located import Data, file_text, read_located
from hwprovisioner.serving.problems import FaultyFile, Problem, quote

EXACT = "exact"
MOST_REQUESTS = 1_000_000

_MOST_BYTES = 16 * 1024 * 1024
_STREAM_KEYS = ("user", "priority", "demands", "arrivals", "duration", "max_duration")
_ARRIVAL_KEYS = ("every", "poisson", "at", "burst", "from", "until", "count")
_WAYS = ("every", "poisson", "at", "burst")
_NOTHING: tuple[str, SetDemand] = ("", SetDemand({}))


class ScenarioError(FaultyFile):
    """A scenario that cannot be used."""


def read_scenario(file: str | os.PathLike[str]) -> Scenario:
    """Read a scenario file.

    Raises:
        ScenarioError: it cannot be used.
    """
    name = os.fspath(file)
    text = file_text(name, _MOST_BYTES)
    if isinstance(text, Problem):
        raise ScenarioError(name, [text])
    return parse_scenario(text, name)


def parse_scenario(text: str, file: str = "scenario.yml") -> Scenario:
    """Read the text of a scenario file; `file` is its name in messages.

    Raises:
        ScenarioError: it cannot be used.
    """
    located = read_located(text)
    known = ("duration", "seed", "resources", "streams", "policy")
    top = Form(located, (), located.data, known)
    if not located.problems:
        top.needs("resources", "{server: {count: 10, cpu: 8}}")
        top.needs("streams", "{ci: {demands: {cpus: 4}, arrivals: {every: 1m}, duration: 5m}}")
    duration_ms = top.duration_ms("duration", 86_400_000, "1m", "30d")
    policy = policy_of(located, ("policy",), top.part("policy"))
    machines = read_machines(top.section("resources"))
    streams = top.section("streams")
    read = tuple(_stream(streams, name, policy, duration_ms) for name in streams)
    seed = top.integer("seed", 1, 0, 999_999_999)
    if located.problems:
        raise ScenarioError(file, located.problems, text)
    return Scenario(duration_ms, seed, machines, read, policy)


def _stream(streams: Form, name: str, policy: Policy, day_ms: int) -> Stream:
    stream = streams.section(name, *_STREAM_KEYS)
    user = stream.text("user", name)
    key, demand = read_demands(stream) if stream.needs("demands", "{cpus: 4}") else _NOTHING
    asked = stream.integer("priority", 0, -100, 100)
    limit_ms = stream.span_ms("max_duration", 0) if not _is_exact(stream) else 0
    return Stream(
        name=name,
        user=user,
        priority=policy.share_of(user).priority_of(asked),
        key=key,
        demand=demand,
        arrivals=_arrivals(stream, day_ms),
        lasting=_lasting(stream),
        declared_ms=limit_ms,
        is_exact=_is_exact(stream),
    )


def _is_exact(stream: Form) -> bool:
    return stream.part("max_duration") == EXACT


def _arrivals(stream: Form, day_ms: int) -> Arrivals:
    example = "{every: 5m}"
    if not stream.needs("arrivals", example):
        return Arrivals(0, day_ms)
    form = stream.section("arrivals", *_ARRIVAL_KEYS)
    ways = [way for way in _WAYS if way in form]
    if len(ways) != 1:
        stream.fault("arrivals", f"should have one of {', '.join(_WAYS)}, as in {example}")
    burst = form.section("burst", "at", "count")
    is_burst = "burst" in form and burst.needs("at", "09:00") and burst.needs("count", "100")
    by = burst if is_burst else form
    found = Arrivals(
        from_ms=form.moment("from", 0, day_ms),
        until_ms=form.moment("until", day_ms, day_ms),
        limit=form.integer("count", 0, 1, MOST_REQUESTS),
        every_ms=form.span_ms("every", 0),
        per_hour=form.per_hour("poisson"),
        at_ms=by.moments("at", day_ms) if "at" in by else (),
        at_once=burst.integer("count", 1, 1, MOST_REQUESTS),
    )
    if found.from_ms >= found.until_ms:
        form.fault("until", "is not after the beginning")
    if _expected(found) > MOST_REQUESTS:
        stream.fault("arrivals", f"makes more than {MOST_REQUESTS:,} requests")
    return found


def _expected(arrivals: Arrivals) -> float:
    span_ms = arrivals.until_ms - arrivals.from_ms
    steady = span_ms / arrivals.every_ms if arrivals.every_ms else 0.0
    at_random = arrivals.per_hour * span_ms / 3_600_000
    return max(steady, at_random, len(arrivals.at_ms) * arrivals.at_once)


def _lasting(stream: Form) -> Lasting:
    if not stream.needs("duration", "10m"):
        return Lasting(Law.FIXED, 1)
    data = stream.part("duration")
    if not isinstance(data, dict):
        return Lasting(Law.FIXED, stream.span_ms("duration", 1))
    laws = [law for law in Law if law in data]
    form = stream.section("duration", *(law for law in Law if law is not Law.FIXED), "most")
    if len(laws) != 1 or laws == [Law.FIXED]:
        stream.fault("duration", f"should be a span such as 10m, or have one law{_LAWS}")
        return Lasting(Law.FIXED, 1)
    most_ms = form.span_ms("most", 0)
    return _drawn(form, laws[0], data[laws[0]], most_ms)


def _drawn(form: Form, law: Law, data: Data, most_ms: int) -> Lasting:
    """Read the law by which durations are drawn."""
    if law is Law.EXPONENTIAL:
        return Lasting(law, form.span_ms(law, 1), most_ms=most_ms)
    first, second = data if isinstance(data, list) and len(data) == 2 else (None, None)
    first_ms = span_of(first)
    if law is Law.UNIFORM:
        second_ms = span_of(second)
        if first_ms and second_ms and first_ms <= second_ms:
            return Lasting(law, first_ms, second_ms, most_ms=most_ms)
        form.fault(law, f"should be the shortest and the longest, [5m, 20m], is {quote(data)}")
        return Lasting(law, 1, 1)
    sigma = _sigma(second)
    if first_ms and sigma:
        return Lasting(law, first_ms, sigma=sigma, most_ms=most_ms)
    form.fault(law, f"should be the median and sigma (0 to 5), [10m, 0.8], is {quote(data)}")
    return Lasting(law, 1)


def _sigma(data: Data) -> float:
    try:
        found = float(data) if isinstance(data, str) else 0.0
    except ValueError:
        return 0.0
    return found if 0 < found <= 5 else 0.0


_LAWS = ": uniform: [5m, 20m], exponential: 10m or lognormal: [10m, 0.8]"
