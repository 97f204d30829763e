from pathlib import Path

import pytest

from hwprovisioner.serving import EnvReader, SettingsError, redis_url, without_password


def read(**environ: str) -> str:
    env = EnvReader(environ)
    url = redis_url(env)
    env.check()
    return url


def faults(**environ: str) -> tuple[str, ...]:
    with pytest.raises(SettingsError) as failure:
        read(**environ)
    return failure.value.faults


def test_nothing_set_means_the_usual_place() -> None:
    assert read() == "redis://127.0.0.1:6379/0"


def test_parts_make_a_url() -> None:
    url = read(REDIS_HOST="redis", REDIS_PORT="6380", REDIS_DB="2")
    assert url == "redis://redis:6380/2"
    assert read(REDIS_HOST="::1") == "redis://[::1]:6379/0"
    assert read(REDIS_TLS="yes") == "rediss://127.0.0.1:6379/0"


@pytest.mark.parametrize("name", ["REDIS_USER", "REDIS_USERNAME"])
def test_the_login_is_put_in_and_escaped(name: str) -> None:
    environ = {name: "ada", "REDIS_PASSWORD": "p@ss/word"}
    assert read(**environ) == "redis://ada:p%40ss%2Fword@127.0.0.1:6379/0"


def test_the_password_may_be_in_a_file(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_text("s3cret\n")
    assert read(REDIS_PASSWORD_FILE=str(file)) == "redis://:s3cret@127.0.0.1:6379/0"
    assert "Is a directory" in faults(REDIS_PASSWORD_FILE=str(tmp_path))[0]


def test_our_own_name_goes_first_then_the_url_then_the_parts() -> None:
    everything = {"REDIS_URL": "redis://b/0", "REDIS_HOST": "c"}
    assert read(HWP_REDIS_URL="redis://a/0", **everything) == "redis://a/0"
    assert read(**everything) == "redis://b/0"


def test_a_url_without_login_takes_it_from_the_parts() -> None:
    assert read(REDIS_URL="redis://b/0", REDIS_PASSWORD="x") == "redis://:x@b/0"
    assert read(REDIS_URL="redis://u:y@b/0", REDIS_PASSWORD="x") == "redis://u:y@b/0"
    assert read(REDIS_URL="unix:///run/r.sock?db=1") == "unix:///run/r.sock?db=1"


def test_what_kubernetes_puts_into_the_port_is_understood() -> None:
    assert read(REDIS_PORT="tcp://10.0.0.7:6379") == "redis://10.0.0.7:6379/0"
    assert read(REDIS_HOST="r", REDIS_PORT="tcp://10.0.0.7:6380") == "redis://r:6380/0"


def test_faults_are_named_and_show_no_password() -> None:
    said = faults(REDIS_PORT="x", REDIS_DB="-1", REDIS_USER="ada", HWP_REDIS_URL="http://u:pw@h")
    assert said == (
        "REDIS_PORT=x: is not a port from 1 to 65535",
        "REDIS_DB=-1: is not a whole number from 0 to 1000000",
        "REDIS_USER is set, and REDIS_PASSWORD is not",
        "HWP_REDIS_URL=http://u:***@h: does not begin with redis://, rediss://, unix://,"
        " redis+sentinel://, rediss+sentinel://",
    )


@pytest.mark.parametrize("url", ["redis://", "redis://h/x", "redis://h:0", "redis://h:x", "unix:"])
def test_what_is_no_redis_url_is_refused(url: str) -> None:
    assert faults(REDIS_URL=url)[0].startswith(f"REDIS_URL={url}: ")


def test_a_url_is_shown_without_its_password() -> None:
    assert without_password("redis://u:pw@h:1/0") == "redis://u:***@h:1/0"
    assert without_password("redis://:pw@h") == "redis://:***@h"
    assert without_password("unix:///s?db=1&password=pw") == "unix:///s?db=1&password=***"
    assert without_password("redis://h:1/0") == "redis://h:1/0"


SENTINELS = "redis+sentinel://10.0.0.1:26379,[::1]/lab/2"


def test_sentinels_make_a_url() -> None:
    hosts = {"REDIS_SENTINELS": "a:26379,b", "REDIS_HOST": "c"}
    assert read(**hosts) == "redis+sentinel://a:26379,b/mymaster/0"
    more = {"REDIS_SENTINEL_MASTER": "my lab", "REDIS_DB": "3", "REDIS_TLS": "yes"}
    assert read(**hosts, **more) == "rediss+sentinel://a:26379,b/my%20lab/3"
    login = {"REDIS_PASSWORD": "x"}
    assert read(**hosts, **login) == "redis+sentinel://:x@a:26379,b/mymaster/0"
    assert read(REDIS_URL="redis://b/0", **hosts) == "redis://b/0"


def test_a_url_of_sentinels_is_taken_as_it_is() -> None:
    assert read(HWP_REDIS_URL=SENTINELS) == SENTINELS
    with_login = SENTINELS.replace("//", "//u:y@")
    assert read(REDIS_URL=SENTINELS, REDIS_USER="u", REDIS_PASSWORD="y") == with_login


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("redis+sentinel:///lab/0", "names no sentinels"),
        ("redis+sentinel://a,,b/lab/0", "names no sentinels"),
        ("redis+sentinel://a:x/lab", "names no sentinels"),
        ("redis+sentinel://a", "does not end in the name of a master"),
        ("redis+sentinel://a/lab/x", "does not end in the name of a master"),
        ("unix+sentinel://a/lab", "does not begin with"),
    ],
)
def test_what_names_no_sentinels_or_no_master_is_refused(url: str, why: str) -> None:
    [said] = faults(HWP_REDIS_URL=url)
    assert said.startswith(f"HWP_REDIS_URL={url}: {why}")


def test_sentinels_that_cannot_be_are_named() -> None:
    [said] = faults(REDIS_SENTINELS="a:b:c")
    assert said == "REDIS_SENTINELS=a:b:c: is not HOST:PORT,HOST:PORT"


def test_the_sentinels_password_is_not_shown_either() -> None:
    shown = without_password(SENTINELS.replace("//", "//:pw@") + "?sentinel_password=pw&x=1")
    assert shown == SENTINELS.replace("//", "//:***@") + "?sentinel_password=***&x=1"
