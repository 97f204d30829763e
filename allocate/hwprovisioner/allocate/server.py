"""Putting the service together, and its life from start to stop."""

import asyncio
import contextlib
import functools
import logging
import os
import secrets
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass

import grpc.aio

from hwprovisioner.allocate import garbage
from hwprovisioner.allocate.booking_desk import BookingDesk
from hwprovisioner.allocate.channel_desk import ChannelDesk
from hwprovisioner.allocate.codec import Codec
from hwprovisioner.allocate.dispatch import Dispatch
from hwprovisioner.allocate.expiry import Expiry
from hwprovisioner.allocate.freshness import Freshness
from hwprovisioner.allocate.held_hosts import HeldHosts
from hwprovisioner.allocate.intake import Intake
from hwprovisioner.allocate.keeping import KeepingDesk
from hwprovisioner.allocate.lab import Lab
from hwprovisioner.allocate.lists import Lists
from hwprovisioner.allocate.manager_desk import Desk
from hwprovisioner.allocate.memory import Memory
from hwprovisioner.allocate.notifications import Notifications
from hwprovisioner.allocate.operating import OperatorDesk
from hwprovisioner.allocate.policy_watch import PolicyWatch
from hwprovisioner.allocate.scheduler import Scheduler
from hwprovisioner.allocate.servicer import AllocateServicer, Parts
from hwprovisioner.allocate.settings import Settings
from hwprovisioner.allocate.signals import Signals
from hwprovisioner.allocate.suspecting import Suspecting
from hwprovisioner.allocate.switchboard import Switchboard
from hwprovisioner.allocate.telling.places import Places
from hwprovisioner.allocate.telling.wait_times import WaitTimes
from hwprovisioner.allocate.updates import Updates
from hwprovisioner.serving import STARTED, Readiness, Service, bind, build_server, serve
from hwprovisioner.state.allocations import Allocations
from hwprovisioner.state.care import Care
from hwprovisioner.state.channels import Channels
from hwprovisioner.state.follower import Follower
from hwprovisioner.state.holds import Holds
from hwprovisioner.state.keys import Keys
from hwprovisioner.state.link import Link
from hwprovisioner.state.managers import Managers
from hwprovisioner.state.pubsub import Ear
from hwprovisioner.state.reading import Reader
from hwprovisioner.state.recognition import Recognition
from hwprovisioner.state.upkeep import Upkeep
from hwprovisioner.state.view import View
from hwprovisioner.v1 import allocate_service_pb2
from hwprovisioner.v1.allocate_service_pb2_grpc import add_AllocateServiceServicer_to_server

_log = logging.getLogger(__name__)

SERVICE = allocate_service_pb2.DESCRIPTOR.services_by_name["AllocateService"].full_name
_REDIS = "redis"


class Allocate:
    """The service of one replica: what it is made of, without network and Redis."""

    def __init__(
        self, settings: Settings, link: Link, log_link: Link, channel_link: Link, ear: Ear
    ) -> None:
        """Put it together: `link` for scripts, the others for the change log and for channels.

        `ear` is entered afterwards: by then all is named that is to be heard.
        """
        keys, limits = Keys(settings.lab), settings.limits
        view = View()
        lab = Lab(view, settings.policy)
        codec = Codec(view)
        reader = Reader(link, keys)
        view.listen(lambda change: None if change else reader.forget_connections())
        allocations = Allocations(link, keys, view.offer, limits)
        holds = Holds(link, keys, view.offer, limits)
        managers = Managers(link, keys, view.offer, limits)
        upkeep = Upkeep(link, keys, view.offer, limits)
        care = Care(link, keys, view.offer, limits)
        replica = f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(4)}"

        self.dispatch = Dispatch(view)
        self.follower = Follower(
            log_link, keys, view, on_older=lambda: link.renew("Redis has an older copy of the lab")
        )
        self.scheduler = Scheduler(replica, view, lab, allocations, care)
        self.expiry = Expiry(
            *(view, care, allocations, holds, managers),
            show_up_ms=lambda: lab.policy.show_up_ms,
            on_time=lab.take_time,
        )
        self.suspecting = Suspecting(view, reader, upkeep)
        self.memory = Memory(view, lab, reader, care)
        self.notifications = Notifications(
            ear, keys, on_expired=self.expiry.expire, on_gap=self.expiry.look_again
        )
        self.signals = Signals(ear, keys)
        channels = Channels(channel_link, keys)
        switchboard = Switchboard(channels, self.signals)
        freshness = Freshness(view, self.follower, reader)
        places = Places(view, lab)
        hosts = HeldHosts(view, freshness, self.dispatch, reader)
        self.channel_desk = ChannelDesk(hosts, self.dispatch, switchboard, channels, self.signals)
        updates = Updates(view, self.dispatch, places, codec, reader)
        self.servicer = AllocateServicer(
            Parts(
                view=view,
                intake=Intake(lab, freshness, allocations, reader, self.scheduler.grant_ahead),
                booking_desk=BookingDesk(view, lab, freshness, allocations, reader),
                freshness=freshness,
                dispatch=self.dispatch,
                allocations=allocations,
                operators=OperatorDesk(view, freshness, upkeep, reader),
                keeping=KeepingDesk(lab, freshness, allocations),
                reader=reader,
                updates=updates,
                lists=Lists(view, lab, places, codec, reader),
                wait_times=WaitTimes(view, lab),
                desk=Desk(
                    *(view, lab.belongings, freshness, self.dispatch, codec, managers),
                    *(allocations, holds, reader, switchboard, upkeep),
                    on_cleaned=self.scheduler.grant_behind,
                ),
                channel_desk=self.channel_desk,
            )
        )

        self._policy = settings.policy_file and PolicyWatch(
            settings.policy_file, settings.policy, lab.take_policy
        )

    def loops(self, stopping: asyncio.Event) -> Mapping[str, Callable[[], Awaitable[None]]]:
        """Return what runs beside the server."""
        policy = {"policy": self._policy.watch} if self._policy else {}
        return policy | {
            "follow": self.follower.follow,
            "election": self.scheduler.stand_for_election,
            "schedule": self.scheduler.schedule,
            "sweep": self.expiry.sweep,
            "memory": self.memory.keep,
            "suspecting": self.suspecting.watch,
            "notifications": self.notifications.act,
            "streams": functools.partial(self.dispatch.end_at, stopping),
        }


@dataclass(frozen=True, slots=True)
class Opened:
    """A service that is bound and not started."""

    server: grpc.aio.Server
    readiness: Readiness
    port: int
    allocate: Allocate


@contextlib.asynccontextmanager
async def open_service(settings: Settings) -> AsyncIterator[Opened]:
    """Open what leads to Redis, which may be away, and bind a server.

    Raises:
        BindError: the port is taken.
    """
    readiness = Readiness([SERVICE], [STARTED, _REDIS])
    async with contextlib.AsyncExitStack() as stack:
        recognition = Recognition(Keys(settings.lab), settings.limits)
        link = await stack.enter_async_context(
            Link(settings.redis_url, client_name="hwp-allocate", greeting=recognition)
        )
        log_link = await stack.enter_async_context(
            Link(settings.redis_url, client_name="hwp-allocate-log", greeting=recognition)
        )
        channel_link = await stack.enter_async_context(
            Link(settings.redis_url, client_name="hwp-allocate-channels", decodes=False)
        )
        ear = Ear(settings.redis_url, client_name="hwp-allocate-ear")
        allocate = Allocate(settings, link, log_link, channel_link, ear)
        await stack.enter_async_context(ear.link)
        allocate.follower.listen(functools.partial(_report, readiness))
        server = build_server(
            [Service(SERVICE, functools.partial(_add, allocate.servicer))], readiness
        )
        port = bind(server, settings.serving.bind, settings.port, setting="HWP_ALLOCATE_PORT")
        yield Opened(server, readiness, port, allocate)


async def run(settings: Settings, stopping: asyncio.Event) -> None:
    """Serve until `stopping` is set; Redis may be away at the start, and later."""
    garbage.expect_many()
    async with open_service(settings) as opened:
        opened.allocate.follower.listen(garbage.leave_alone)
        _log.info("allocate listens on %s:%d", settings.serving.bind, opened.port)
        await serve(
            opened.server,
            opened.readiness,
            stopping,
            loops=opened.allocate.loops(stopping),
            grace_ms=settings.serving.grace_ms,
        )


def _add(servicer: AllocateServicer, server: grpc.aio.Server) -> None:
    add_AllocateServiceServicer_to_server(servicer, server)


def _report(readiness: Readiness, is_following: bool) -> None:
    readiness.report(_REDIS, holds=is_following)
