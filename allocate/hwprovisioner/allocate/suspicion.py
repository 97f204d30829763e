"""When what fails on a resource speaks against it, and not against those who use it.

A rule over what was seen, without I/O; `suspecting.py` applies it.
"""

from collections.abc import Callable, Sequence

from hwprovisioner.allocate.outcomes import Outcome

LEAST_USERS = 2
"""Failures of so many different users are needed; one user may well do what breaks machines."""
LIKELY = 0.01
"""A resource is suspected of what would be less likely than that, were it as good as others."""


def why_suspect(own: Sequence[Outcome], elsewhere: Callable[[Outcome], tuple[int, int]]) -> str:
    """Say what speaks against a resource; empty for nothing.

    Of each user the newest outcome counts: who tries again and again is one witness. It is held
    against how holds of the same user and of the same class fare elsewhere, which is how likely it
    was to fail. Suspicious are failures of so many users as would be less likely than `LIKELY`.

    Args:
        own: the newest outcomes on the resource, newest last.
        elsewhere: of holds like one, how many failed on other resources, and of how many.
    """
    newest = list({each.user: each for each in own}.values())
    failures = sum(each.failed for each in newest)
    if failures < LEAST_USERS:
        return ""
    chances = [_chance(*elsewhere(each)) for each in newest]
    if at_least(failures, chances) >= LIKELY:
        return ""
    usual = sum(chances) / len(chances)
    return (
        f"holds of {failures} of its newest {len(newest)} users failed; elsewhere about"
        f" {usual:.0%} of such holds do"
    )


def at_least(count: int, chances: Sequence[float]) -> float:
    """Return how likely it is that at least `count` of independent things happen."""
    # By how many have happened so far; all from `count` on are one.
    likely = [1.0] + [0.0] * count
    for chance in chances:
        happens = [each * chance for each in likely]
        likely = [
            (likely[n] - happens[n] if n < count else likely[n]) + (happens[n - 1] if n else 0.0)
            for n in range(count + 1)
        ]
    return likely[count]


def _chance(failed: int, total: int) -> float:
    # With nothing seen it is as likely as not; each thing seen moves that on (Laplace).
    return (failed + 1) / (total + 2)
