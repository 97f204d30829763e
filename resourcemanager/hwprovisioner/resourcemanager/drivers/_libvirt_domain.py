"""A machine as libvirt knows it: a domain that says whose it is, and its volumes.

The domain is defined before its volumes are made, and undefined after they are deleted: whatever
there is of a machine, its domain tells of it.
"""

from __future__ import annotations

import xml.etree.ElementTree as ET
from dataclasses import dataclass

import libvirt

from hwprovisioner.resourcemanager.drivers._libvirt_host import is_missing
from hwprovisioner.resourcemanager.drivers._libvirt_options import LibvirtOptions
from hwprovisioner.resourcemanager.drivers._machine_options import ImageSection
from hwprovisioner.resourcemanager.drivers._names import name_there
from hwprovisioner.resourcemanager.errors import DriverError
from hwprovisioner.resourcemanager.model import Resource, Share

#: By which our metadata in a domain is known.
_SPACE = "urn:hwprovisioner:instance"
_PREFIX = "hwp"
#: A domain is not undefined while it has these, unless that is said; the make-believe host cannot.
_UNDEFINE = libvirt.VIR_DOMAIN_UNDEFINE_MANAGED_SAVE | libvirt.VIR_DOMAIN_UNDEFINE_NVRAM
_MAKE_BELIEVE = "TEST"


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a machine is to be."""

    resource: Resource
    name: str
    share: Share
    image: ImageSection
    disk_bytes: int
    #: The seed's image; empty if it gets none.
    seed: bytes

    @property
    def disk(self) -> str:
        """The name of its disk's volume, "" if it has no disk."""
        has_disk = self.image.base or self.disk_bytes
        return disk_of(name_there(self.resource, self.name)) if has_disk else ""


def disk_of(name: str) -> str:
    """Return what the disk of a domain is called."""
    return f"{name}.qcow2"


def seed_of(name: str) -> str:
    """Return what the seed of a domain is called."""
    return f"{name}.iso"


def find(host: libvirt.virConnect, resource: Resource, name: str) -> libvirt.virDomain | None:
    """Return a machine of a resource, if there is one. Another's of the same name is none."""
    try:
        domain = host.lookupByName(name_there(resource, name))
    except libvirt.libvirtError as error:
        if is_missing(error):
            return None
        raise
    return domain if instance_of(domain, resource) == name else None


def instance_of(domain: libvirt.virDomain, resource: Resource) -> str:
    """Return which instance of a resource a domain says it is, "" if it is none of them."""
    says = _metadata(domain)
    is_ours = (says.get("resource"), says.get("mark")) == (resource.name, resource.mark)
    return says.get("name", "") if is_ours else ""


def is_up(domain: libvirt.virDomain) -> bool:
    """Say whether it had come up once, and runs."""
    return _metadata(domain).get("up") == "yes" and bool(domain.isActive())


def came_up(domain: libvirt.virDomain) -> None:
    """Note in the domain that it is up."""
    text = ET.tostring(ET.Element("instance", _metadata(domain) | {"up": "yes"}), "unicode")
    kind, flags = libvirt.VIR_DOMAIN_METADATA_ELEMENT, libvirt.VIR_DOMAIN_AFFECT_CONFIG
    domain.setMetadata(kind, text, _PREFIX, _SPACE, flags)


def define(host: libvirt.virConnect, options: LibvirtOptions, wanted: Wanted) -> None:
    """Define a domain, make its volumes, and start it."""
    domain = host.defineXML(_domain_xml(options, wanted))
    if wanted.disk or wanted.seed:
        pool = host.storagePoolLookupByName(options.pool)
        if wanted.disk:
            pool.createXML(_disk_xml(host, wanted), 0)
        if wanted.seed:
            _upload(
                host,
                pool.createXML(_volume_xml(seed_of(domain.name()), len(wanted.seed), "raw"), 0),
                wanted.seed,
            )
    domain.create()


def destroy(
    host: libvirt.virConnect, options: LibvirtOptions, resource: Resource, name: str
) -> bool:
    """Destroy a machine with its volumes; return whether there was one."""
    domain = find(host, resource, name)
    if domain is None:
        return False
    if domain.isActive():
        domain.destroy()
    if _has_volumes(domain):
        pool = host.storagePoolLookupByName(options.pool)
        for volume in (disk_of(domain.name()), seed_of(domain.name())):
            try:
                pool.storageVolLookupByName(volume).delete(0)
            except libvirt.libvirtError as error:
                if not is_missing(error):
                    raise
    domain.undefineFlags(0 if host.getType() == _MAKE_BELIEVE else _UNDEFINE)
    return True


def address(domain: libvirt.virDomain) -> str:
    """Return the address that the domain was given, "" if none is known yet."""
    found = domain.interfaceAddresses(libvirt.VIR_DOMAIN_INTERFACE_ADDRESSES_SRC_LEASE, 0)
    for interface in found.values():
        for one in interface["addrs"] or ():
            if one["type"] == libvirt.VIR_IP_ADDR_TYPE_IPV4:
                return str(one["addr"])
    return ""


def _metadata(domain: libvirt.virDomain) -> dict[str, str]:
    kind, flags = libvirt.VIR_DOMAIN_METADATA_ELEMENT, libvirt.VIR_DOMAIN_AFFECT_CONFIG
    try:
        return dict(ET.fromstring(domain.metadata(kind, _SPACE, flags)).attrib)  # noqa: S314
    except libvirt.libvirtError:
        # It has none, is a transient one, or has just gone.
        return {}


def _has_volumes(domain: libvirt.virDomain) -> bool:
    text = domain.XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE)
    return ET.fromstring(text).find("devices/disk") is not None  # noqa: S314


def _domain_xml(options: LibvirtOptions, wanted: Wanted) -> str:
    domain = ET.Element("domain", type=options.type)
    called = name_there(wanted.resource, wanted.name)
    _text(domain, "name", called)
    mark = ET.SubElement(_text(domain, "metadata"), f"{{{_SPACE}}}instance")
    mark.set("resource", wanted.resource.name)
    mark.set("mark", wanted.resource.mark)
    mark.set("name", wanted.name)
    _text(domain, "memory", str(wanted.share.memory_bytes), unit="b")
    _text(domain, "vcpu", str(wanted.share.cpus))
    os = _text(domain, "os")
    _text(os, "type", "hvm")
    for key, value in (
        ("kernel", wanted.image.kernel),
        ("initrd", wanted.image.initrd),
        ("cmdline", wanted.image.append),
    ):
        if value:
            _text(os, key, value)
    _text(_text(domain, "features"), "acpi")
    devices = _text(domain, "devices")
    if wanted.disk:
        _disk(devices, options.pool, wanted.disk, "qcow2", "vda")
    if wanted.seed:
        _text(_disk(devices, options.pool, seed_of(called), "raw", "vdb"), "readonly")
    if options.network:
        interface = _text(devices, "interface", type="network")
        _text(interface, "source", network=options.network)
        _text(interface, "model", type="virtio")
    _text(devices, "serial", type="pty")
    _text(devices, "console", type="pty")
    return ET.tostring(domain, encoding="unicode")


def _disk(devices: ET.Element, pool: str, volume: str, form: str, target: str) -> ET.Element:
    disk = _text(devices, "disk", type="volume", device="disk")
    _text(disk, "driver", name="qemu", type=form)
    _text(disk, "source", pool=pool, volume=volume)
    _text(disk, "target", dev=target, bus="virtio")
    return disk


def _disk_xml(host: libvirt.virConnect, wanted: Wanted) -> str:
    if not wanted.image.base:
        return _volume_xml(wanted.disk, wanted.disk_bytes, "qcow2")
    volume = base(host, wanted.image.base)
    form = ET.fromstring(volume.XMLDesc(0)).find("target/format")  # noqa: S314
    capacity = max(wanted.disk_bytes, int(volume.info()[1]))
    backing = (volume.path(), "raw" if form is None else form.get("type", "raw"))
    return _volume_xml(wanted.disk, capacity, "qcow2", backing)


def base(host: libvirt.virConnect, path: str) -> libvirt.virStorageVol:
    """Return the volume that an image is."""
    try:
        return host.storageVolLookupByPath(path)
    except libvirt.libvirtError as error:
        if is_missing(error):
            advice = "`virsh pool-refresh POOL` finds a file that was put there"
            raise DriverError(f"{path} is no volume of a pool of libvirt; {advice}") from error
        raise


def _volume_xml(name: str, capacity: int, form: str, backing: tuple[str, str] | None = None) -> str:
    volume = ET.Element("volume")
    _text(volume, "name", name)
    _text(volume, "capacity", str(capacity), unit="bytes")
    _text(_text(volume, "target"), "format", type=form)
    if backing is not None:
        store = _text(volume, "backingStore")
        _text(store, "path", backing[0])
        _text(store, "format", type=backing[1])
    return ET.tostring(volume, encoding="unicode")


def _upload(host: libvirt.virConnect, volume: libvirt.virStorageVol, data: bytes) -> None:
    stream = host.newStream()
    volume.upload(stream, 0, len(data), 0)
    rest = memoryview(data)

    def more(stream: libvirt.virStream, most: int, opaque: object) -> bytes:
        nonlocal rest
        chunk, rest = rest[:most], rest[most:]
        return bytes(chunk)

    stream.sendAll(more, None)
    stream.finish()


def _text(parent: ET.Element, tag: str, text: str = "", **attributes: str) -> ET.Element:
    element = ET.SubElement(parent, tag, attributes)
    element.text = text or None
    return element
