"""What the lab's demo asks an EC2 API itself: the driver's word is not enough."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from typing import Any

REGION = "eu-central-1"
#: moto takes any. What the user has of Amazon's own is not read.
_CREDENTIALS = {
    "AWS_ACCESS_KEY_ID": "lab-demo",
    "AWS_SECRET_ACCESS_KEY": "lab-demo",
    "AWS_SESSION_TOKEN": "lab-demo",
    "AWS_CONFIG_FILE": os.devnull,
    "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    "AWS_EC2_METADATA_DISABLED": "true",
}


@contextlib.contextmanager
def credentials() -> Iterator[None]:
    """Has them in the environment, where boto3 looks, for the length of a block."""
    before = dict(os.environ)
    os.environ.pop("AWS_PROFILE", None)
    os.environ |= _CREDENTIALS
    try:
        yield
    finally:
        for name in (*_CREDENTIALS, "AWS_PROFILE"):
            os.environ.pop(name, None)
            if name in before:
                os.environ[name] = before[name]


def any_ami(url: str) -> str:
    """Gives the id of an image that the API has."""
    with _client(url) as client:
        images = client.describe_images(Owners=["amazon"])["Images"]
    return str(images[0]["ImageId"])


def instances(url: str) -> dict[str, str]:
    """Gives the state of each instance that has not gone, by its id."""
    with _client(url) as client:
        pages = client.get_paginator("describe_instances").paginate()
        all_of_them = [
            one for page in pages for each in page["Reservations"] for one in each["Instances"]
        ]
    states = {one["InstanceId"]: one["State"]["Name"] for one in all_of_them}
    return {name: state for name, state in states.items() if state != "terminated"}


@contextlib.contextmanager
def _client(url: str) -> Iterator[Any]:
    # Only installed for those who have a cloud.
    import boto3

    client = boto3.client("ec2", region_name=REGION, endpoint_url=url)
    try:
        yield client
    finally:
        client.close()
