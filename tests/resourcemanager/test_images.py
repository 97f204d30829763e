"""Which image a new machine starts from, and what it is told of itself."""

import io
import json

import pycdlib
import pytest
import yaml

from hwprovisioner.resourcemanager import DriverError, OperatingSystem
from hwprovisioner.resourcemanager.drivers._images import choose
from hwprovisioner.resourcemanager.drivers._seed import Guest, host_name, seed
from hwprovisioner.resourcemanager.model import Instance

IMAGES = {
    "bookworm": OperatingSystem("linux", "debian", "12"),
    "jammy": OperatingSystem("linux", "ubuntu", "22.04"),
    "noble": OperatingSystem("linux", "Ubuntu", "24.04.1"),
    "bare": OperatingSystem(),
}


@pytest.mark.parametrize(
    ("asked", "name"),
    [
        (("", "", ""), "bookworm"),
        (("Linux", "", ""), "bookworm"),
        (("", "ubuntu", ""), "jammy"),
        (("", "ubuntu", "22.04"), "jammy"),
        (("", "ubuntu", "22.05"), "noble"),
        (("", "ubuntu", ">=24"), "noble"),
        (("", "ubuntu", "==24.04"), "noble"),
        (("", "ubuntu", "<=23"), "jammy"),
        (("", "ubuntu", "23 .. 24"), "noble"),
        (("", "", "20..30"), "jammy"),
    ],
)
def test_the_first_with_the_system_that_is_asked_for_is_taken(
    asked: tuple[str, str, str], name: str
) -> None:
    assert choose(Instance("i", os=OperatingSystem(*asked)), IMAGES) == name


def test_a_name_goes_before_a_system() -> None:
    assert choose(Instance("i", image="bare"), IMAGES) == "bare"


@pytest.mark.parametrize(
    ("instance", "words"),
    [
        (Instance("i", image="bear"), "no image 'bear', but bookworm, jammy"),
        (Instance("i", os=OperatingSystem("", "debian", ">=13")), "no image has debian >=13"),
        (Instance("i", os=OperatingSystem("windows")), "no image has windows; there are: bookworm"),
        (Instance("i", os=OperatingSystem("", "ubuntu", "==23")), "no image has ubuntu ==23"),
    ],
)
def test_what_there_is_is_told_if_nothing_fits(instance: Instance, words: str) -> None:
    with pytest.raises(DriverError) as caught:
        choose(instance, IMAGES)
    assert words in str(caught.value)


def read_back(image: bytes, name: str) -> str:
    disk = pycdlib.PyCdlib()
    disk.open_fp(io.BytesIO(image))
    assert disk.pvd.volume_identifier.strip() == b"cidata"
    out = io.BytesIO()
    disk.get_file_from_iso_fp(out, rr_path=f"/{name}")
    again = io.BytesIO()
    disk.get_file_from_iso_fp(again, joliet_path=f"/{name}")
    disk.close()
    assert out.getvalue() == again.getvalue()
    return out.getvalue().decode()


def test_a_seed_is_what_cloud_init_reads() -> None:
    guest = Guest("hyper.7", "eve", ("ssh-ed25519 AAAA maker",), "-----BEGIN\nX\n", "ssh-ed25519 B")
    image = seed(guest)
    meta = yaml.safe_load(read_back(image, "meta-data"))
    assert meta == {"instance-id": "hyper.7", "local-hostname": "hyper-7"}
    head, _, rest = read_back(image, "user-data").partition("\n")
    assert head == "#cloud-config"
    user = yaml.safe_load(rest)
    assert user == json.loads(rest)
    assert user["users"][0]["name"] == "eve"
    assert user["users"][0]["ssh_authorized_keys"] == ["ssh-ed25519 AAAA maker"]
    assert user["ssh_keys"]["ed25519_private"] == "-----BEGIN\nX\n"
    assert user["disable_root"] is True


def test_a_host_s_name_has_no_dots_and_fits() -> None:
    assert host_name("hyper_1.7") == "hyper-1-7"
    assert len(host_name("x" * 80)) == 63
