"""What can go wrong on the ways between processes."""

from collections.abc import Callable, Iterable

from chaos.fault import Doing, Fault
from chaos.lab import Lab
from support.tcp_proxy import TcpProxy


def _ways(lab: Lab) -> Iterable[str]:
    return lab.proxies


def _whoever_listens(way: str) -> str:
    """A service without its state does not work; whoever else is cut off hurts only itself."""
    return way.partition(">")[0]


def _on_way(change: Callable[[TcpProxy], None]) -> Doing:
    async def change_it(lab: Lab, way: str) -> None:
        change(lab.proxies[way])

    return change_it


def _deafen(proxy: TcpProxy) -> None:
    proxy.deaf = True


def _drop_replies(proxy: TcpProxy) -> None:
    proxy.dropping = True


def _slow_down(proxy: TcpProxy) -> None:
    proxy.delay_s = 0.2


def _mend(proxy: TcpProxy) -> None:
    """What was thrown away cannot come later, so its connections end."""
    if proxy.deaf or proxy.dropping:
        proxy.cut()
    proxy.deaf = proxy.dropping = False
    proxy.delay_s = 0.0
    proxy.release_replies()


def _on_ways(change: Callable[[TcpProxy], None], span_s: tuple[float, float]) -> Fault:
    return Fault(_ways, _on_way(change), _on_way(_mend), span_s, _whoever_listens)


OF_WAYS: dict[str, Fault] = {
    "cut": _on_ways(TcpProxy.cut, (0.0, 0.1)),
    "slow": _on_ways(_slow_down, (0.5, 3.0)),
    "stall": _on_ways(TcpProxy.hold_replies, (0.5, 3.0)),
    "half-open": _on_ways(_deafen, (0.5, 4.0)),
    "drop-replies": _on_ways(_drop_replies, (0.5, 3.0)),
}
