"""What a resources file may say of cloud instances."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from hwprovisioner.resourcemanager.schema import MOST_GPUS, OsSection, Section, Size, Text, Whole

#: As the lab takes them.
_MOST_IMAGES = 256
_MOST_TAGS = 40
Name = Annotated[Text, Field(min_length=1)]
_AMI = re.compile(r"ami-[0-9a-z]+")


def _ami(word: str) -> str:
    if not _AMI.fullmatch(word):
        raise ValueError(f"{word!r} is no image of EC2, such as ami-0a1b2c3d4e5f60718")
    return word


def _url(word: str) -> str:
    if word and not word.startswith(("http://", "https://")):
        raise ValueError(f"{word!r} should begin with http:// or https://")
    return word


class ImageSection(Section):
    """An image that instances are made of."""

    ami: Annotated[Text, AfterValidator(_ami)]
    os: OsSection = OsSection()
    #: Whom holders log in as: the default user of the image's cloud-init.
    user: Text = "ec2-user"


class TypeSection(Section):
    """What an instance type has."""

    cpus: Whole
    memory: Size
    gpus: Annotated[int, Field(ge=0, le=MOST_GPUS)] = 0


class Ec2Options(Section):
    """What stands under `options`."""

    region: Name
    #: By the names that demands use; the first is taken where none is named.
    images: Annotated[dict[Name, ImageSection], Field(min_length=1, max_length=_MOST_IMAGES)]
    #: The first that is large enough is taken; cheap ones first.
    types: Annotated[dict[Name, TypeSection], Field(min_length=1)]
    #: For an API that is not Amazon's.
    endpoint_url: Annotated[Text, AfterValidator(_url)] = ""
    #: Of the manager's AWS configuration; else its environment, files or role, as boto3 finds them.
    profile: Text = ""
    subnet: Text = ""
    security_groups: list[Name] = Field(default_factory=list)
    #: Which address holders are told.
    address: Literal["private", "public"] = "private"
    #: When an instance is up: once it answers by SSH, or as soon as the API says that it runs.
    ready: Literal["ssh", "running"] = "ssh"
    port: Annotated[int, Field(ge=1, le=65_535)] = 22
    #: The manager's own private key, which lets holders in to instances of a warm pool.
    login_key_file: Text = ""
    #: The largest disk that may be asked for.
    disk_limit: Size | None = None
    tags: Annotated[dict[Name, Text], Field(max_length=_MOST_TAGS)] = Field(default_factory=dict)
