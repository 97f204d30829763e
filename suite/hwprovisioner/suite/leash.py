"""Children that do not outlive their parent, even if it is killed.

On Linux the child asks the kernel for a signal at its parent's death, then becomes the program. Not
a `preexec_fn`: that runs Python between fork and exec, in a process that has threads. The kernel
means the *thread* that forked; `hwp up` starts children from its main thread only. Elsewhere a
killed parent leaves its children behind.
"""

import os
import signal
import sys
from collections.abc import Sequence

_PR_SET_PDEATHSIG = 1

_BECOME = f"""
import ctypes, os, signal, sys
how, parent, *command = sys.argv[1:]
ctypes.CDLL(None, use_errno=True).prctl({_PR_SET_PDEATHSIG}, int(how), 0, 0, 0)
if os.getppid() != int(parent):  # it died before the line above
    os._exit(1)
signal.signal(signal.SIGPIPE, signal.SIG_DFL)
os.execv(command[0], command)
"""


def leashed(command: Sequence[str], how: signal.Signals) -> tuple[str, ...]:
    """Return a command that runs `command` and gets the signal `how` when this process dies.

    Args:
        command: its first word is an absolute path.
        how: what to send.
    """
    if sys.platform != "linux":
        return tuple(command)
    launcher = (sys.executable, "-I", "-S", "-c", _BECOME)
    return (*launcher, str(int(how)), str(os.getpid()), *command)
