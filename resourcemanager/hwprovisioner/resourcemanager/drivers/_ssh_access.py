"""Ephemeral access by SSH: a holder's public key lets in for as long as the hold lasts.

The key stands in the `authorized_keys` of the user that is lent, as a line that ends with a mark of
the hold. When it is taken out, all SSH sessions of that user are cut, with everything that they
started: sshd does not say with which key one was opened. The manager's own session, which does
this, is spared; so are those of other users, and of another sshd that runs on the same machine.
"""

from __future__ import annotations

import asyncssh

from hwprovisioner.resourcemanager.drivers._ssh_commands import run_script
from hwprovisioner.resourcemanager.errors import DriverError
from hwprovisioner.resourcemanager.model import Hold

#: $1 check, admit or evict; $2 the user that is lent, empty for the one who logs in; $3 its file of
#: keys; $4 the mark of the resource; $5 the holder's line, if one is let in.
_SCRIPT = r"""
set -eu
umask 077
user=${2:-$(id -un)} file=$3 mark=$4 line=$5
home=$(eval "echo ~$user")
fail() { echo "$*" >&2; exit 1; }
[ -d "$home" ] || fail "there is no user $user, or it has no home"
case $file in /*) ;; *) file=$home/$file ;; esac
file=$(readlink -f "$file" 2>/dev/null || echo "$file")

# Prints the processes of all sessions of the user but this one.
sessions() {
    { ps -A -o pid,ppid,args 2>/dev/null || ps -o pid,ppid,args; } | awk -v me=$$ -v user="$user" '
        function whose(pid, words) {
            words = title[pid]
            return sub(/^sshd(-session)?: /, "", words) && words !~ /^\// ? words : ""
        }
        # Of this sshd, or of one that has ended: a session outlives the restart of its server.
        function is_ours(pid) {
            return pid == server || title[pid] !~ /sshd/
        }
        function is_lent(pid, words) {
            words = whose(pid)
            return index(words, user) == 1 && substr(words, length(user) + 1, 1) ~ /^[@ ]?$/
        }
        $1 ~ /^[0-9]+$/ {
            pid = $1
            parent[pid] = $2
            sub(/^ *[0-9]+ +[0-9]+ +/, "")
            title[pid] = $0
        }
        END {
            for (pid = me; (pid in parent) && pid > 1; pid = parent[pid]) {
                mine[pid]
                if (whose(pid) != "")
                    top = pid
            }
            if (top == "") {
                print "sessions cannot be told apart: this is not the sshd of OpenSSH"
                exit 1
            }
            server = parent[top]
            for (pid in parent) {
                up = parent[pid]
                is_here = is_ours(up) || whose(up) != "" && is_ours(parent[up])
                if (is_here && is_lent(pid) && !(pid in mine))
                    cut[pid]
            }
            do {
                more = 0
                for (pid in parent)
                    if (!(pid in cut) && !(pid in mine) && (parent[pid] in cut)) {
                        cut[pid]
                        more = 1
                    }
            } while (more)
            for (pid in cut)
                print pid
        }'
}

# Writes the file anew, without the lines of this resource and with those that are given.
put() {
    rm -f "$file".hwp.*
    new=$file.hwp.$$
    if [ -e "$file" ]; then
        cp -p "$file" "$new"
        awk -v mark="$mark" 'index($NF, mark) != 1' "$file" > "$new"
    elif [ -n "$1" ]; then
        folder=$(dirname "$file")
        [ -d "$folder" ] || { mkdir -p "$folder"; chown "$user" "$folder"; }
        : > "$new"
        chown "$user" "$new"
    else
        return 0
    fi
    [ -z "$1" ] || printf '%s\n' "$1" >> "$new"
    mv "$new" "$file"
}

evict() {
    put ''
    tries=0
    while cut=$(sessions) || fail "$cut"; [ -n "$cut" ]; do
        [ $tries -lt 100 ] || fail "sessions of $user cannot be cut:" $cut
        kill -9 $cut 2>/dev/null || true
        tries=$((tries + 1))
        sleep 0.05
    done
}

case $1 in
    check) said=$(sessions) || fail "$said" ;;
    evict) evict ;;
    admit)
        if ! grep -q -x -F -e "$line" "$file" 2>/dev/null; then
            evict
            put "$line"
        fi ;;
esac
"""

#: Runs the script as who may do it.
_AS_WHO_MAY = r"""
if [ -z "$3" ] || [ "$(id -un)" = "$3" ] || [ "$(id -u)" = 0 ]; then
    script=$1; shift; exec sh -c "$script" hwp "$@"
fi
script=$1; shift; exec sudo -n sh -c "$script" hwp "$@"
"""


class EphemeralAccess:
    """Lets holders of one resource in and out."""

    def __init__(self, resource: str, user: str, file: str) -> None:
        """Lend `user` (empty is who logs in), whose keys stand in `file`, seen from its home."""
        self._mark = f"hwprovisioner:{resource}:"
        self._user = user
        self._file = file

    async def check(self, connection: asyncssh.SSHClientConnection) -> None:
        """See whether it can be done on this machine.

        Raises:
            DriverError: It cannot, and why.
        """
        await self._run(connection, "check")

    async def admit(self, connection: asyncssh.SSHClientConnection, hold: Hold) -> None:
        """Let a holder in, and whoever was in out, unless this was done before.

        Raises:
            DriverError: It did not work, or they sent no key.
        """
        words = hold.ssh_public_key.split()
        if len(words) < 2:
            raise DriverError(
                "this machine lets its holder in by the holder's own public key, and none was"
                " sent: is `ssh-keygen` there, or a key named (--ssh-key FILE.pub)?"
            )
        # Their comment would be taken for the mark.
        await self._run(connection, "admit", f"{words[0]} {words[1]} {self._mark}{hold.id}")

    async def evict(self, connection: asyncssh.SSHClientConnection) -> None:
        """Let nobody in any more, and cut the sessions that there are.

        Raises:
            DriverError: It did not work.
        """
        await self._run(connection, "evict")

    async def _run(
        self, connection: asyncssh.SSHClientConnection, verb: str, line: str = ""
    ) -> None:
        words = (_SCRIPT, verb, self._user, self._file, self._mark, line)
        await run_script(connection, _AS_WHO_MAY, *words)
