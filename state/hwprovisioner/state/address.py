"""Where a Redis is: its URL taken apart."""

import ssl
from dataclasses import dataclass, field
from typing import Self
from urllib.parse import parse_qs, unquote, urlsplit

DEFAULT_PORT = 6379


@dataclass(frozen=True, slots=True)
class Address:
    """A Redis server, as a URL names it.

    ``redis://USER:PASSWORD@HOST:PORT/DB``, ``rediss://`` for TLS,
    ``unix://USER:PASSWORD@/PATH?db=DB``. With TLS, ``ssl_ca_certs``, ``ssl_certfile``,
    ``ssl_keyfile`` and ``ssl_cert_reqs=none`` may be given as in redis-py's URLs; other options are
    not for here.
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

    @classmethod
    def from_url(cls, url: str) -> Self:
        """Take a URL apart.

        Raises:
            ValueError: it is none of the above; the message does not show the password.
        """
        parts = urlsplit(url)
        if parts.scheme not in ("redis", "rediss", "unix"):
            raise ValueError("a Redis URL begins with redis://, rediss:// or unix://")
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

    def __str__(self) -> str:
        """Return it as it may be shown: without user and password."""
        if self.path:
            return f"unix://{self.path}?db={self.database}"
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'rediss' if self.tls else 'redis'}://{host}:{self.port}/{self.database}"

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
