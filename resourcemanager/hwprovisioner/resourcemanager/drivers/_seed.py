"""Seeds for cloud-init: a disk that tells a new virtual machine who it is and who may log in.

It is an ISO 9660 image of the label that cloud-init's data source NoCloud looks for. Its files are
JSON, which is YAML. They hold the private host key that the machine is to have, so that whoever
logs in knows beforehand which one is the right one: keep them from others.
"""

from __future__ import annotations

import io
import json
from dataclasses import dataclass

import pycdlib

#: By which NoCloud finds it.
LABEL = "cidata"


@dataclass(frozen=True, slots=True)
class Guest:
    """What a new machine is told of itself."""

    name: str
    #: Who logs in; made if there is no such user, and may become root without a password.
    user: str
    #: Public keys that let `user` in, in OpenSSH's form.
    authorized_keys: tuple[str, ...]
    #: The machine's own key (ed25519), in OpenSSH's form.
    host_key_private: str
    host_key_public: str


def seed(guest: Guest) -> bytes:
    """Return the image of a seed."""
    files = {
        "meta-data": json.dumps(_meta_data(guest), indent=1),
        "user-data": "#cloud-config\n" + json.dumps(_user_data(guest), indent=1),
    }
    image = pycdlib.PyCdlib()
    image.new(interchange_level=3, joliet=3, rock_ridge="1.09", vol_ident=LABEL)
    for number, (name, text) in enumerate(files.items()):
        data = (text + "\n").encode()
        # The name that counts is that of Rock Ridge, or for Windows that of Joliet.
        image.add_fp(
            io.BytesIO(data),
            len(data),
            f"/FILE{number}.;1",
            rr_name=name,
            joliet_path=f"/{name}",
        )
    whole = io.BytesIO()
    image.write_fp(whole)
    image.close()
    return whole.getvalue()


def host_name(name: str) -> str:
    """Return an instance's name as that of a host."""
    return name.replace(".", "-").replace("_", "-")[:63].strip("-")


def _meta_data(guest: Guest) -> dict[str, object]:
    return {"instance-id": guest.name, "local-hostname": host_name(guest.name)}


def _user_data(guest: Guest) -> dict[str, object]:
    return {
        "users": [_user(guest)],
        "disable_root": guest.user != "root",
        "ssh_pwauth": False,
        "ssh_deletekeys": True,
        "ssh_keys": {
            "ed25519_private": guest.host_key_private,
            "ed25519_public": guest.host_key_public,
        },
    }


def _user(guest: Guest) -> dict[str, object]:
    keys: dict[str, object] = {
        "name": guest.user,
        "ssh_authorized_keys": list(guest.authorized_keys),
    }
    if guest.user == "root":
        return keys
    return {**keys, "shell": "/bin/sh", "lock_passwd": True, "sudo": "ALL=(ALL) NOPASSWD:ALL"}
