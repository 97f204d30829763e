"""The options of driver `libvirt`."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, field_validator

from hwprovisioner.resourcemanager.drivers._machine_options import ImageSection, MachineOptions
from hwprovisioner.resourcemanager.schema import Text


class LibvirtOptions(MachineOptions):
    """What stands under `options`.

    Files of images are those of libvirt's host; a `base` has to be a volume of one of its pools.
    """

    #: Where libvirt is; `test:///default` is a make-believe host.
    uri: Annotated[Text, Field(min_length=1)] = "qemu:///system"
    #: Where disks and seeds are made.
    pool: Text = "default"
    #: Which of libvirt's networks machines are in; empty is none.
    network: Text = "default"
    type: Literal["kvm", "qemu", "test"] = "kvm"

    @field_validator("images")
    @classmethod
    def _no_console(cls, images: dict[str, ImageSection]) -> dict[str, ImageSection]:
        for name, image in images.items():
            if image.ready.by == "console":
                raise ValueError(f"{name}: `ready` should be `ssh` or `start` with driver libvirt")
        return images
