"""Reading resources.yml with the drivers there are, and one called `fake`."""

import pytest

from hwprovisioner.resourcemanager import ConfigError, Driver, Resource, parse_config
from hwprovisioner.resourcemanager.loading import load_driver
from support.folder_maker import FolderMaker
from support.manager import Hardware


def load(name: str) -> type[Driver]:
    if name == "folder":
        return FolderMaker
    return Hardware().driver() if name == "fake" else load_driver(name)


def one(body: str, section: str = "static") -> Resource:
    """Read an entry that is called `box`."""
    text = f"resources: {{{section}: {{box: {{driver: fake, kind: edge, {body}}}}}}}"
    return parse_config(text, load=load).resources["box"]


def problems(text: str) -> list[str]:
    """Return what is said of a file, without the source lines."""
    with pytest.raises(ConfigError) as caught:
        parse_config(text, "lab.yml", load)
    return [problem.render("lab.yml") for problem in caught.value.problems]
