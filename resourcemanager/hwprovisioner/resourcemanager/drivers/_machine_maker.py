"""What drivers of virtual machines have in common, whoever runs the machines."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

from hwprovisioner.resourcemanager.drivers import _images
from hwprovisioner.resourcemanager.drivers._machine_options import ImageSection, MachineOptions
from hwprovisioner.resourcemanager.drivers._machine_size import size_problems
from hwprovisioner.resourcemanager.maker import Maker
from hwprovisioner.resourcemanager.model import (
    Facts,
    Instance,
    Kind,
    Makes,
    OperatingSystem,
    Resource,
)
from hwprovisioner.serving.problems import Path


class MachineMaker(Maker):
    """Makes virtual machines, each from one of the images of the options."""

    default_kind: ClassVar[Kind | None] = Kind.VIRTUAL_MACHINE

    @classmethod
    def verify(cls, resource: Resource) -> Iterable[tuple[Path, str]]:
        """Yield what is not said of the size of machines."""
        return size_problems(resource)

    @property
    def makes(self) -> Makes:
        """The images of the options, and what is in them."""
        assert isinstance(self.resource.options, MachineOptions)
        return _images.makes(self._systems, self.resource.options.disk_limit or 0)

    @property
    def has_power(self) -> bool:
        """Every machine has."""
        return True

    async def describe(self) -> Facts:
        """Return what is in the image that is taken if nothing is asked."""
        return Facts(os=next(iter(self._systems.values())))

    @property
    def images(self) -> dict[str, ImageSection]:
        """What machines start from, by name."""
        assert isinstance(self.resource.options, MachineOptions)
        return self.resource.options.images

    def image_of(self, instance: Instance) -> ImageSection:
        """Return what an instance starts from.

        Raises:
            DriverError: No image is what was asked for.
        """
        return self.images[_images.choose(instance, self._systems)]

    @property
    def _systems(self) -> dict[str, OperatingSystem]:
        return {name: image.system for name, image in self.images.items()}
