"""Where the lab's Redis is, from the names that its users already have."""

import re
from pathlib import Path
from urllib.parse import quote, urlsplit, urlunsplit

from hwprovisioner.serving.settings import EnvReader

DEFAULT_HOST = "127.0.0.1"
DEFAULT_PORT = 6379
_SCHEMES = ("redis", "rediss", "unix", "redis+sentinel", "rediss+sentinel")
_HOST = r"(\[[^]]+\]|[^:,\[\]]+)(:\d{1,5})?"
_SENTINELS = re.compile(rf"{_HOST}(,{_HOST})*")
# What Docker links and Kubernetes put into REDIS_PORT for a service that is called `redis`.
_LINKED_PORT = re.compile(r"tcp://([^:/]+|\[[^]]+\]):(\d{1,5})")


def redis_url(env: EnvReader) -> str:
    """Read the URL of the lab's Redis: ``redis://``, ``rediss://`` (TLS) or ``unix://PATH?db=N``.

    Or ``redis+sentinel://HOST:PORT,HOST:PORT/MASTER/N``: the one that these sentinels name. The
    first that is set decides: HWP_REDIS_URL, REDIS_URL, REDIS_SENTINELS, REDIS_HOST, the last two
    with the other REDIS_ names.
    A user or password that the URL lacks is taken from REDIS_USER and REDIS_PASSWORD. The result
    holds the password: show it only through `without_password`.
    """
    url = env.secret("HWP_REDIS_URL", f"the lab's Redis, as {'://, '.join(_SCHEMES)}:// URL")
    url_name = "HWP_REDIS_URL"
    fallback = env.secret("REDIS_URL", "the same, if HWP_REDIS_URL is not set")
    if not url:
        url, url_name = fallback, "REDIS_URL"
    from_parts = _url_from_parts(env)
    login = _login(env)
    if not url:
        return _with_login(from_parts, login)
    if fault := _fault_of(url):
        env.fault(f"{url_name}={without_password(url)}: {fault}")
        return from_parts
    return url if "@" in urlsplit(url).netloc else _with_login(url, login)


def without_password(url: str) -> str:
    """Return a URL as it may be shown."""
    url = re.sub(r"(?<=://)([^@/:]*:)[^@]*@", r"\1***@", url)
    return re.sub(r"([?&](?:sentinel_)?password=)[^&]*", r"\1***", url)


def _url_from_parts(env: EnvReader) -> str:
    host = env.text("REDIS_HOST", "its host, if no URL is set", default=DEFAULT_HOST)
    port_text = env.text("REDIS_PORT", "its port", default=str(DEFAULT_PORT))
    if linked := _LINKED_PORT.fullmatch(port_text):
        host = linked[1] if host == DEFAULT_HOST else host
        port_text = linked[2]
    if not (port_text.isdecimal() and 1 <= int(port_text) <= 65535):
        env.fault(f"REDIS_PORT={port_text}: is not a port from 1 to 65535")
        port_text = str(DEFAULT_PORT)
    database = env.integer("REDIS_DB", "its database", default=0, low=0, high=1_000_000)
    tls = env.flag("REDIS_TLS", "whether it speaks TLS", default=False)
    scheme = "rediss" if tls else "redis"
    if (sentinels := _sentinels(env)) is not None:
        return f"{scheme}+sentinel://{sentinels}/{database}"
    host = f"[{host}]" if ":" in host and not host.startswith("[") else host
    return f"{scheme}://{host}:{port_text}/{database}"


def _sentinels(env: EnvReader) -> str | None:
    hosts = env.text(
        "REDIS_SENTINELS", "HOST:PORT,HOST:PORT of the sentinels that know where it is"
    )
    master = env.text("REDIS_SENTINEL_MASTER", "what they know it by", default="mymaster")
    if hosts and not _SENTINELS.fullmatch(hosts):
        env.fault(f"REDIS_SENTINELS={hosts}: is not HOST:PORT,HOST:PORT")
        return None
    return f"{hosts}/{quote(master, safe='')}" if hosts else None


def _login(env: EnvReader) -> tuple[str, str]:
    user = env.text("REDIS_USER", "its user")
    user = user or env.text("REDIS_USERNAME", "the same, if REDIS_USER is not set")
    password = env.secret("REDIS_PASSWORD", "its password")
    file = env.path("REDIS_PASSWORD_FILE", "a file with its password, if that is not set itself")
    if file is not None and not password:
        password = _first_line(env, file)
    if user and not password:
        env.fault("REDIS_USER is set, and REDIS_PASSWORD is not")
    return user, password


def _first_line(env: EnvReader, file: Path) -> str:
    try:
        return file.read_text().split("\n", 1)[0].strip()
    except (OSError, UnicodeDecodeError) as error:
        env.fault(f"REDIS_PASSWORD_FILE={file}: cannot be read: {error}")
        return ""


def _with_login(url: str, login: tuple[str, str]) -> str:
    user, password = login
    if not password:
        return url
    parts = urlsplit(url)
    netloc = f"{quote(user, safe='')}:{quote(password, safe='')}@{parts.netloc}"
    return urlunsplit(parts._replace(netloc=netloc))


def _fault_of(url: str) -> str:
    if "+sentinel://" in url:
        return _fault_of_sentinels(url)
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        return str(error)
    if parts.scheme not in _SCHEMES:
        return f"does not begin with {'://, '.join(_SCHEMES)}://"
    if parts.scheme == "unix":
        return "" if parts.path else "names no socket, as in unix:///run/redis.sock?db=0"
    if not host or port == 0:
        return "names no host, as in redis://127.0.0.1:6379/0"
    return "" if re.fullmatch(r"/?\d*", parts.path) else "ends in what is not a database number"


def _fault_of_sentinels(url: str) -> str:
    parts = urlsplit(url)
    if parts.scheme not in _SCHEMES:
        return f"does not begin with {'://, '.join(_SCHEMES)}://"
    if not _SENTINELS.fullmatch(parts.netloc.rpartition("@")[2]):
        return "names no sentinels, as in redis+sentinel://10.0.0.1:26379,10.0.0.2:26379/mymaster/0"
    if not re.fullmatch(r"/[^/]+(/\d*)?", parts.path):
        return "does not end in the name of a master and a database number, as in /mymaster/0"
    return ""
