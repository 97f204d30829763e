"""The blocking face: the same allocations, over one background thread."""

import os
import signal
import subprocess
import sys
import textwrap
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from hwprovisioner.client import BadDemand, Lab, LabError, LeaseLost, Unsatisfiable, Update
from hwprovisioner.v1 import allocate_service_pb2 as pb
from support.fake_allocation import FakeAllocation
from support.fake_refusals import AWAY, Code, Refusal
from support.lab_in_thread import LabInThread


@pytest.fixture
def lab(threaded: LabInThread) -> Lab:
    return Lab(threaded.lab.target, threaded.lab.target)


def stay(allocation: FakeAllocation) -> None:
    """What `on_submit` is when the test itself moves the allocation."""


def run_python(
    threaded: LabInThread, source: str, *program: str
) -> subprocess.CompletedProcess[str]:
    environ = {**os.environ, "ALLOCATE_API": threaded.lab.target}
    environ["HEARTBEAT_API"] = threaded.lab.target
    return subprocess.run(
        [sys.executable, "-W", "error", *(program or ("-c", textwrap.dedent(source)))],
        env=environ,
        capture_output=True,
        text=True,
        timeout=50,
    )


def test_a_block_gets_hosts_and_gives_them_back(threaded: LabInThread, lab: Lab) -> None:
    with lab.allocate(cpus=4) as hardware:
        assert hardware.host.run("cat; echo", input="hi").stdout == "hi\n"
        assert hardware["host"] is hardware.host
        assert repr(hardware) == "<hardware a-1: host=res-1>"
        assert not threaded.lab.only.released.is_set()
    assert threaded.lab.only.released.is_set()


def test_updates_are_told_in_the_thread_that_waits(lab: Lab) -> None:
    threads = set()

    def listen(update: Update) -> None:
        threads.add(threading.get_ident())

    with lab.allocate(cpus=4, on_update=listen):
        pass
    assert threads == {threading.get_ident()}


def test_errors_come_out_where_the_block_begins(threaded: LabInThread, lab: Lab) -> None:
    threaded.lab.refuse_allocate = Refusal(Code.FAILED_PRECONDITION, "no", "UNSATISFIABLE")
    with pytest.raises(Unsatisfiable), lab.allocate(cpus=4):
        pass


def test_a_loss_comes_out_at_the_next_use_and_is_told_in_the_background(
    threaded: LabInThread, lab: Lab
) -> None:
    told: list[LeaseLost] = []
    known = threading.Event()

    def listen(lost: LeaseLost) -> None:
        told.append(lost)
        with pytest.raises(LabError, match="another thread"):
            hardware.release()
        known.set()

    with lab.allocate(cpus=4) as hardware:
        hardware.on_lost(listen)
        threaded.call(lambda: threaded.lab.only.end("REVOKED", "the admin said so"))
        assert known.wait(10)
        with pytest.raises(LeaseLost, match="the admin said so"):
            hardware.host.run("true")
    assert [loss.reason for loss in told] == ["REVOKED"]


def test_two_threads_hold_different_hardware_at_once(threaded: LabInThread, lab: Lab) -> None:
    both = threading.Barrier(2)
    held: list[str] = []

    def hold() -> None:
        with lab.allocate(cpus=1) as hardware:
            held.append(hardware.allocation_id)
            both.wait(10)

    threads = [threading.Thread(target=hold) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert sorted(held) == ["a-1", "a-2"]


@pytest.mark.parametrize("late", [False, True], ids=["queued", "holding"])
def test_ctrl_c_gives_back_and_is_raised(threaded: LabInThread, lab: Lab, late: bool) -> None:
    def interrupt(update: Update) -> None:
        signal.raise_signal(signal.SIGINT)

    if not late:
        threaded.lab.on_submit = stay
        with pytest.raises(KeyboardInterrupt), lab.allocate(cpus=1, on_update=interrupt):
            pass
    else:
        with pytest.raises(KeyboardInterrupt), lab.allocate(cpus=1) as hardware:  # noqa: PT012
            timer = threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGINT))
            timer.start()
            hardware.host.run("sleep 60")
    assert threaded.lab.only.released.is_set()


@pytest.mark.parametrize("deadline", ["2h", "+2h", 7200, timedelta(hours=2), "2030-01-01T00:00Z"])
def test_a_deadline_is_a_moment_or_a_span_from_now(
    threaded: LabInThread, lab: Lab, deadline: Any
) -> None:
    before = datetime.now(UTC)
    found = lab.drain_resource("r", deadline=deadline).deadline_time.ToDatetime(UTC)
    if deadline == "2030-01-01T00:00Z":
        assert found == datetime(2030, 1, 1, tzinfo=UTC)
    else:
        assert before <= found - timedelta(hours=2) <= datetime.now(UTC)


@pytest.mark.parametrize("deadline", ["soon", "-1h", 0, "25:00"])
def test_what_is_no_deadline_is_a_bad_demand(
    threaded: LabInThread, lab: Lab, deadline: Any
) -> None:
    with pytest.raises(BadDemand, match="deadline"):
        lab.drain_resource("r", deadline=deadline)


def test_the_rest_of_the_surface_is_the_same(threaded: LabInThread, lab: Lab) -> None:
    threaded.lab.refuse_unary = [AWAY]
    assert lab.explain(cpus=1).availability == pb.Availability.AVAILABILITY_NOW
    assert len(lab.list_resources()) == len(lab.list_managers()) == len(lab.list_allocations()) == 0
    assert lab.drain_resource("r", "repair").reason == "repair"
    assert lab.enable_resource("r").spec.name == "r"
    assert lab.quarantine_resource("r", "smoke").reason == "smoke"
    assert lab.wait_times() == ()
    with pytest.raises(LabError):
        lab.get_resource("r")
    with lab.allocate(cpus=1) as hardware:
        assert lab.get_allocation(hardware.allocation_id, hardware.token).id == "a-1"
        assert lab.heartbeat(hardware.allocation_id, hardware.token).remaining_lease.seconds == 30
        events = lab.watch_allocation(hardware.allocation_id, hardware.token)
        assert next(events).HasField("ready")
        assert lab.keep(hardware.allocation_id, hardware.token, "2h").id == "a-1"
        assert threaded.lab.only.kept_s == 7200
        lab.keep(hardware.allocation_id, hardware.token, None)
        assert threaded.lab.only.kept_s == 0
        hardware.release()
        assert [update.WhichOneof("event") for update in events] == ["ended"]
    assert lab.release("a-1", "token-1").id == "a-1"
    lab.close()


def test_a_program_that_ends_in_the_middle_of_a_block_gives_back(threaded: LabInThread) -> None:
    source = """
    import sys
    from hwprovisioner.client import Lab
    block = Lab().allocate(cpus=1)
    hardware = block.__enter__()
    print(hardware.host.resource)
    """
    done = run_python(threaded, source)
    assert (done.returncode, done.stdout, done.stderr) == (0, "res-1\n", "")
    assert threaded.lab.only.released.is_set()


def test_a_program_that_dies_by_ctrl_c_in_a_block_gives_back(threaded: LabInThread) -> None:
    source = """
    import signal
    from hwprovisioner.client import Lab
    with Lab().allocate(cpus=1) as hardware:
        signal.raise_signal(signal.SIGINT)
    """
    assert run_python(threaded, source).returncode == -signal.SIGINT
    assert threaded.lab.only.released.is_set()


def test_a_forked_child_is_told_and_takes_nothing_with_it(threaded: LabInThread) -> None:
    source = """
    import os, sys
    from hwprovisioner.client import Lab, LabError
    with Lab().allocate(cpus=1) as hardware:
        if (child := os.fork()) == 0:
            for use in (hardware.check, lambda: hardware.host.run("true"), Lab().list_resources):
                try:
                    use()
                except LabError as error:
                    print(error.reason, flush=True)
            sys.exit(3)
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
        print(hardware.host.run("echo still ours").stdout, end="", flush=True)
    """
    done = run_python(threaded, source)
    assert done.stdout.splitlines() == [
        "OTHER_PROCESS",
        "OTHER_PROCESS",
        "FORKED",
        "3",
        "still ours",
    ]
    assert threaded.lab.only.released.is_set()


def test_a_child_forked_before_the_lab_was_used_starts_anew(threaded: LabInThread) -> None:
    source = """
    import os, sys
    from hwprovisioner.client import Lab
    lab = Lab()
    if (child := os.fork()) == 0:
        with lab.allocate(cpus=1) as hardware:
            print(hardware.host.resource, flush=True)
        sys.exit(0)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
    """
    assert run_python(threaded, source).stdout == "res-1\n0\n"
    assert threaded.lab.only.released.is_set()


def test_a_child_of_a_fork_server_has_a_lab_of_its_own(
    threaded: LabInThread, tmp_path: Path
) -> None:
    source = """
    import multiprocessing, sys
    from hwprovisioner.client import Lab

    def hold():
        with Lab().allocate(cpus=1) as hardware:
            return hardware.host.resource

    if __name__ == "__main__":
        with Lab().allocate(cpus=1):
            with multiprocessing.get_context("forkserver").Pool(1) as pool:
                print(pool.apply(hold))
    """
    program = tmp_path / "program.py"
    program.write_text(textwrap.dedent(source))
    assert run_python(threaded, "", str(program)).stdout == "res-1\n"


def test_a_process_stopped_for_longer_than_its_lease_fences_itself(threaded: LabInThread) -> None:
    def grant_a_second(allocation: FakeAllocation) -> None:
        allocation.remaining_s = 1.0
        allocation.ready()

    threaded.lab.on_submit = grant_a_second
    source = """
    import os, signal, subprocess, sys
    from hwprovisioner.client import Lab, LeaseLost
    with Lab().allocate(cpus=1) as hardware:
        waker = subprocess.Popen(["sh", "-c", f"sleep 1.5; kill -CONT {os.getpid()}"])
        os.kill(os.getpid(), signal.SIGSTOP)
        try:
            hardware.check()
        except LeaseLost as lost:
            print(lost.reason)
        waker.wait()
    """
    assert run_python(threaded, source).stdout == "LEASE_LAPSED\n"
