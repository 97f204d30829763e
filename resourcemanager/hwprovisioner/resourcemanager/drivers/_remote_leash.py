"""Commands on other machines that do not outlive the connection they run on.

Whoever waits for a command may be gone: cancelled, killed, cut off. Then it must not go on, since
the machine may be lent to somebody else by then. sshd only closes its input, so something on the
machine has to wait for that, and end the command with what it started.
"""

import shlex

_LEASH = """
command -v setsid >/dev/null 2>&1 || exec sh -c "$1" </dev/null
exec 3<&0
setsid sh -c "$1" </dev/null 3<&- & command=$!
(cat <&3; kill -9 -$command) >/dev/null 2>&1 & keeper=$!
wait $command
status=$?
kill -9 $keeper
exit $status
"""


def leashed(command: str) -> str:
    """Return a command that runs `command` by `sh`, and kills it when its input ends.

    Where there is no `setsid`, it is not leashed.
    """
    return f"sh -c {shlex.quote(_LEASH)} hwp {shlex.quote(command)}"
