"""How many files a process may have open: each connection is one."""

import logging
import resource

_log = logging.getLogger(__name__)


def raise_limit() -> None:
    """Let this process have as many connections as it may allow itself.

    Systems begin with a soft limit of 1,024 for the sake of programs that use select(); whoever
    wants less sets the hard limit. Not for programs that start others, which would inherit it.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == hard:
        return
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    except (OSError, ValueError) as error:  # as where hard is more than the kernel allows
        _log.warning("%d connections are the limit, and cannot be made more: %s", soft, error)
    else:
        _log.info("up to %s connections, instead of %d", _words(hard), soft)


def _words(limit: int) -> str:
    return "any number of" if limit == resource.RLIM_INFINITY else str(limit)
