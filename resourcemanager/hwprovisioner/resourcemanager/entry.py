"""Reads one resource of resources.yml."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from pydantic import BaseModel

from hwprovisioner.resourcemanager.driver import Driver
from hwprovisioner.resourcemanager.errors import DriverNotUsable
from hwprovisioner.resourcemanager.model import (
    Access,
    Division,
    Facts,
    Gpu,
    Kind,
    OperatingSystem,
    Resource,
    TimeLimits,
)
from hwprovisioner.resourcemanager.schema import (
    MOST_GPUS,
    AccessSection,
    DynamicSection,
    GpuSection,
    LimitsSection,
    OsSection,
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
    resource = _resource(str(path[-1]), kind or Kind.EDGE_DEVICE, section, options)
    if len(resource.declared.gpus or ()) > MOST_GPUS:
        problems.append(located.problem((*path, "gpus"), f"are more than {MOST_GPUS} cards"))
    problems += [
        located.problem((*path, *below), message, at_key=True)
        for below, message in driver.verify(resource)
    ]
    return problems or resource


def _resource(name: str, kind: Kind, section: ResourceSection, options: BaseModel) -> Resource:
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
    )


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


def _os(section: OsSection | None) -> OperatingSystem | None:
    if section is None:
        return None
    return OperatingSystem(section.family, section.distro, section.version)


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
    )
