"""Reads one resource of resources.yml."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

from pydantic import BaseModel

from hwprovisioner.resourcemanager.driver import Driver
from hwprovisioner.resourcemanager.errors import DriverNotUsable
from hwprovisioner.resourcemanager.maker import Maker
from hwprovisioner.resourcemanager.model import (
    Access,
    Care,
    Division,
    Facts,
    Gpu,
    Kind,
    OperatingSystem,
    Resource,
    Share,
    TimeLimits,
    WarmPool,
)
from hwprovisioner.resourcemanager.schema import (
    MOST_GPUS,
    AccessSection,
    CareSection,
    DeclaredOsSection,
    DynamicSection,
    GpuSection,
    LimitsSection,
    ResourceSection,
    StaticSection,
)
from hwprovisioner.resourcemanager.verify import verify
from hwprovisioner.serving.located import Data, Located
from hwprovisioner.serving.problems import Path, Problem


def read_entry(
    located: Located, path: Path, data: Data, load: Callable[[str], type[Driver]]
) -> Resource | list[Problem]:
    """Return the resource at a path of the file, or every problem with it."""
    form: type[ResourceSection] = StaticSection if path[1] == "static" else DynamicSection
    driver = _driver(located, path, data, load)
    words = tuple(driver.Options.model_fields) if isinstance(driver, type) else ()
    section = verify(located, path, form, data, elsewhere=words)
    options = _options(located, path, data, driver)
    if isinstance(section, list) or isinstance(options, list) or isinstance(driver, Problem):
        return [
            *(section if isinstance(section, list) else []),
            *(options if isinstance(options, list) else []),
            *([driver] if isinstance(driver, Problem) else []),
        ]
    assert driver is not None
    return _checked(located, path, section, driver, options)


def _driver(
    located: Located, path: Path, data: Data, load: Callable[[str], type[Driver]]
) -> type[Driver] | Problem | None:
    """Return the driver's class, or what is wrong with it; `None` if none is named."""
    name = data.get("driver") if isinstance(data, dict) else None
    if not isinstance(name, str):
        return None
    try:
        return load(name)
    except DriverNotUsable as error:
        return located.problem((*path, "driver"), str(error))


def _options(
    located: Located, path: Path, data: Data, driver: type[Driver] | Problem | None
) -> BaseModel | list[Problem]:
    """Return the options as the driver's own model, or every problem with them."""
    if not isinstance(driver, type) or not isinstance(data, dict):
        return []
    options = data.get("options", {})
    if not isinstance(options, dict):
        return []
    return verify(located, (*path, "options"), driver.Options, options)


def _checked(
    located: Located, path: Path, section: ResourceSection, driver: type[Driver], options: BaseModel
) -> Resource | list[Problem]:
    kind = section.kind or driver.default_kind
    problems = []
    if kind is None:
        message = f"is needed: {', '.join(Kind)}"
        problems.append(located.problem((*path, "kind"), message, at_key=True))
    lines = _lines(located, path)
    resource = _resource(str(path[-1]), kind or Kind.EDGE_DEVICE, section, options, lines)
    if len(resource.declared.gpus or ()) > MOST_GPUS:
        problems.append(located.problem((*path, "gpus"), f"are more than {MOST_GPUS} cards"))
    problems += [
        located.problem((*path, *below), message, at_key=True)
        for below, message in (*driver.verify(resource), *_pool_faults(resource, driver))
    ]
    return problems or resource


def _resource(
    name: str,
    kind: Kind,
    section: ResourceSection,
    options: BaseModel,
    lines: Mapping[str, int],
) -> Resource:
    has, division = _capacity(section)
    limits = section.time_limits
    return Resource(
        name=name,
        kind=kind,
        driver=section.driver,
        declared=Facts(has.cpu, has.mem, _gpus(has.gpus), _os(section.os)),
        labels=dict(section.labels),
        access=_access(section.access),
        division=division,
        options=options,
        time_limits=TimeLimits(limits.ready_up, limits.tear_down, limits.clean, limits.check),
        check_every_s=section.check_every,
        care=_care(section.care),
        pool=_pool(section),
        lines=lines,
    )


def _lines(located: Located, path: Path) -> Mapping[str, int]:
    """Return in which lines what an entry declares stands."""
    above = path if path[1] == "static" else (*path, "limits")
    places = {key: (*above, key) for key in ("cpu", "mem", "gpus")}
    places |= {"os": (*path, "os"), "os.kernel": (*path, "os", "kernel")}
    return {key: located.keys[place].line for key, place in places.items() if place in located.keys}


def _care(section: CareSection) -> Care:
    return Care(
        clean_tries=section.clean_tries,
        clean_within_s=section.clean_within,
        repair_tries=section.repair_tries,
        facts_every_s=section.facts_every,
    )


def _pool(section: ResourceSection) -> WarmPool | None:
    if not isinstance(section, DynamicSection) or section.pool is None:
        return None
    pool, default = section.pool, section.default
    # A share has one processor if nobody says how many.
    share = Share(pool.cpu or default.cpu or 1, pool.mem or default.mem or 0)
    return WarmPool(
        min=pool.min,
        max=pool.max or pool.min,
        idle_s=pool.idle,
        share=share,
        image=pool.image,
        disk_bytes=pool.disk or 0,
    )


def _pool_faults(resource: Resource, driver: type[Driver]) -> Iterator[tuple[Path, str]]:
    """Yield why a pool can never be filled."""
    pool, division = resource.pool, resource.division
    if pool is None or division is None:
        return
    if not issubclass(driver, Maker):
        yield ("pool",), f"driver {resource.driver} makes nothing that could be kept ready"
    if pool.max > division.instances:
        words = f"limits.instances: {division.instances}"
        yield ("pool",), f"keeps up to {pool.max} ready, more than {words}"
    has = resource.declared
    for key, each, whole in (
        ("cpu", pool.share.cpus, has.cpus),
        ("mem", pool.share.memory_bytes, has.memory_bytes),
    ):
        if whole is not None and pool.min * each > whole:
            words = f"{pool.min} of {each:,} each are more than limits.{key}: {whole:,}"
            yield ("pool",), f"`min` cannot be kept: {words}"


def _capacity(section: ResourceSection) -> tuple[StaticSection | LimitsSection, Division | None]:
    if isinstance(section, DynamicSection):
        default = section.default
        return section.limits, Division(
            section.limits.instances, default.cpu or 0, default.mem or 0
        )
    assert isinstance(section, StaticSection)
    return section, None


def _gpus(sections: Sequence[GpuSection] | None) -> tuple[Gpu, ...] | None:
    if sections is None:
        return None
    return tuple(
        Gpu(section.brand, section.model, section.memory or 0)
        for section in sections
        for _ in range(section.count)
    )


def _os(section: DeclaredOsSection | None) -> OperatingSystem | None:
    if section is None:
        return None
    return OperatingSystem(section.family, section.distro, section.version, section.kernel)


def _access(section: AccessSection | None) -> Access | None:
    if section is None:
        return None
    return Access(
        host=section.host or section.ip,
        user=section.user,
        port=section.port or 0,
        key_file=section.key_file,
        host_key=section.host_key,
        known_hosts=section.known_hosts,
        ephemeral=section.ephemeral,
    )
