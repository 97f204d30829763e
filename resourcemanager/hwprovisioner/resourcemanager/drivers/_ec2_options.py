"""What a resources file may say of cloud instances."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from hwprovisioner.resourcemanager.schema import MOST_GPUS, OsSection, Section, Size, Text, Whole

#: As the lab takes them.
_MOST_IMAGES = 256
_MOST_TAGS = 40
Name = Annotated[Text, Field(min_length=1)]


class ImageSection(Section):
    """An image that instances are made of."""

    ami: Annotated[Text, Field(pattern=r"^ami-[0-9a-z]+$")]
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
    endpoint_url: Text = ""
    #: Of the manager's AWS configuration; else its environment, files or role, as boto3 finds them.
    profile: Text = ""
    subnet: Text = ""
    security_groups: list[Name] = Field(default_factory=list)
    #: Which address holders are told.
    address: Literal["private", "public"] = "private"
    #: When an instance is up: once it answers by SSH, or as soon as the API says that it runs.
    ready: Literal["ssh", "running"] = "ssh"
    port: Annotated[int, Field(ge=1, le=65_535)] = 22
    #: The manager's own private key, for instances of a warm pool.
    login_key_file: Text = ""
    #: The largest disk that may be asked for.
    disk_limit: Size | None = None
    tags: Annotated[dict[Name, Text], Field(max_length=_MOST_TAGS)] = Field(default_factory=dict)
