"""Where a Redis is: its URL taken apart."""

import ssl
from dataclasses import dataclass, field, replace
from typing import Self
from urllib.parse import parse_qs, unquote, urlsplit

DEFAULT_PORT = 6379
DEFAULT_SENTINEL_PORT = 26379

_SENTINEL = "+sentinel"


@dataclass(frozen=True, slots=True)
class Address:
    """A Redis server, as a URL names it.

    ``redis://USER:PASSWORD@HOST:PORT/DB``, ``rediss://`` for TLS,
    ``unix://USER:PASSWORD@/PATH?db=DB``; or the one that sentinels say is the master now,
    ``redis+sentinel://USER:PASSWORD@HOST:PORT,HOST:PORT/MASTER/DB``, ``rediss+sentinel://`` if all
    of them speak TLS, with ``?sentinel_password=`` if the sentinels want one. With TLS,
    ``ssl_ca_certs``, ``ssl_certfile``, ``ssl_keyfile`` and ``ssl_cert_reqs=none`` may be given as
    in redis-py's URLs; other options are not for here.
    """

    host: str = ""
    port: int = DEFAULT_PORT
    path: str = ""
    """The unix socket; then there is no host."""
    database: int = 0
    user: str = ""
    password: str = field(default="", repr=False)
    tls: bool = False
    tls_options: tuple[tuple[str, str], ...] = ()
    sentinels: tuple[tuple[str, int], ...] = ()
    """Whom to ask where it is; then there is neither host nor path."""
    master: str = ""
    """What sentinels know it by."""
    sentinel_password: str = field(default="", repr=False)

    @classmethod
    def from_url(cls, url: str) -> Self:
        """Take a URL apart.

        Raises:
            ValueError: it is none of the above; the message does not show the password.
        """
        parts = urlsplit(url)
        if parts.scheme in (f"redis{_SENTINEL}", f"rediss{_SENTINEL}"):
            return cls._from_sentinels(url)
        if parts.scheme not in ("redis", "rediss", "unix"):
            raise ValueError(
                "a Redis URL begins with redis://, rediss://, unix:// or redis+sentinel://"
            )
        options = {name: values[-1] for name, values in parse_qs(parts.query).items()}
        is_unix = parts.scheme == "unix"
        database = options.get("db") or ("" if is_unix else parts.path.strip("/")) or "0"
        if not database.isdecimal():
            raise ValueError(f"a Redis URL ends in a database number, not {database!r}")
        if is_unix and not parts.path:
            raise ValueError("a unix:// URL names a socket, as in unix:///run/redis.sock?db=0")
        return cls(
            host="" if is_unix else parts.hostname or "127.0.0.1",
            port=parts.port or DEFAULT_PORT,
            path=unquote(parts.path) if is_unix else "",
            database=int(database),
            user=unquote(parts.username or ""),
            password=unquote(parts.password or "") or options.get("password", ""),
            tls=parts.scheme == "rediss",
            tls_options=tuple(sorted(o for o in options.items() if o[0].startswith("ssl_"))),
        )

    @classmethod
    def _from_sentinels(cls, url: str) -> Self:
        parts = urlsplit(url)
        scheme = parts.scheme.removesuffix(_SENTINEL)
        login, _, hosts = parts.netloc.rpartition("@")
        master, _, database = parts.path.strip("/").partition("/")
        if not hosts or not master:
            raise ValueError(
                "a sentinel URL names sentinels and a master, as in"
                " redis+sentinel://10.0.0.1:26379,10.0.0.2:26379/mymaster/0"
            )
        # Whatever else there is to it is as in any other URL.
        plain = cls.from_url(f"{scheme}://{login}@/{database}?{parts.query}")
        each = [urlsplit(f"//{host}") for host in hosts.split(",")]
        found = tuple((one.hostname or "", one.port or DEFAULT_SENTINEL_PORT) for one in each)
        if not all(host for host, _ in found):
            raise ValueError(f"a sentinel URL names hosts between commas, not {hosts!r}")
        options = parse_qs(parts.query)
        return replace(
            plain,
            host="",
            sentinels=found,
            master=master,
            sentinel_password=options.get("sentinel_password", [""])[-1],
        )

    def __str__(self) -> str:
        """Return it as it may be shown: without user and password."""
        scheme = "rediss" if self.tls else "redis"
        if self.sentinels:
            hosts = ",".join(f"{_in_url(host)}:{port}" for host, port in self.sentinels)
            return f"{scheme}{_SENTINEL}://{hosts}/{self.master}/{self.database}"
        if self.path:
            return f"unix://{self.path}?db={self.database}"
        return f"{scheme}://{_in_url(self.host)}:{self.port}/{self.database}"

    def tls_context(self) -> ssl.SSLContext | None:
        """Return what a TLS connection is made with; none if it is not one.

        Raises:
            OSError: a certificate cannot be read or is none.
        """
        if not self.tls:
            return None
        options = dict(self.tls_options)
        context = ssl.create_default_context(cafile=options.get("ssl_ca_certs"))
        if options.get("ssl_cert_reqs") == "none":
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        if certificate := options.get("ssl_certfile"):
            context.load_cert_chain(certificate, options.get("ssl_keyfile"))
        return context


def _in_url(host: str) -> str:
    return f"[{host}]" if ":" in host else host
