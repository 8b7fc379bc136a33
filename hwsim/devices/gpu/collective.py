"""Collectives between cards: ring and tree over a link with a latency per step and a bandwidth (alpha and beta).

A ring (Patarasuk and Yuan 2009, bandwidth-optimal) cuts the tensor into a part per card: an all-reduce takes 2 (g - 1)
steps and each card sends 2 (g - 1) / g of the tensor; gathering or scattering takes half of both. A tree takes
2 ceil(log2 g) steps and sends the whole tensor up and down. The shorter one is taken. Small all-reduces run a protocol
with shorter steps and a fraction of the bandwidth.
"""

from __future__ import annotations

import math
from dataclasses import astuple, dataclass
from functools import reduce
from typing import TYPE_CHECKING, Any

import numpy as np

from hwsim.devices.gpu.estimate import Estimate, limiter
from hwsim.errors import Infeasible

if TYPE_CHECKING:
    from hwsim.devices.gpu.parameters import GpuParameters, Link
    from hwsim.workload.op import Op

__all__ = ["CollectiveTime", "collective_estimate", "collective_time", "link_between"]


@dataclass(frozen=True, slots=True)
class CollectiveTime:
    """Time of a collective.

    Attributes:
        time_s: seconds.
        latency_s: floor and steps, without bytes.
        sent_bytes: bytes that each card sends over its link.
        algorithm: ring, tree, small ring or direct.
    """

    time_s: float
    latency_s: float
    sent_bytes: float
    algorithm: str


def collective_time(link: Link, op: str, total_bytes: Any, gpus: int) -> CollectiveTime:
    """Time of a collective over one kind of link; arrays of each where ``total_bytes`` is one.

    Args:
        link: latency of a step, bandwidth of a card and direction, floor.
        op: all_reduce, all_gather, reduce_scatter or send_recv.
        total_bytes: bytes of the whole tensor.
        gpus: cards that take part; one card has nothing to do.
    """
    if gpus < 2:
        return CollectiveTime(0.0, 0.0, 0.0, "none")
    if op == "send_recv":
        floor = link.message_floor.value
        time = floor + total_bytes / (link.bandwidth.value * link.message_share.value)
        return CollectiveTime(time, floor, total_bytes, "direct")
    rate = link.bandwidth.value * link.share.value
    rounds = 2 if op == "all_reduce" else 1
    ways = [("ring", rounds * (gpus - 1), rounds * (gpus - 1) / gpus * total_bytes)]
    if op == "all_reduce":
        ways.append(("tree", 2 * math.ceil(math.log2(gpus)), 2.0 * total_bytes))
    timed = [
        CollectiveTime(latency + sent / rate, latency, sent, name)
        for name, steps, sent in ways
        for latency in (link.floor.value + steps * link.latency.value,)
    ]
    return reduce(_shorter, [*timed, *_small(link, *ways[0][1:])] if op == "all_reduce" else timed)


def _small(link: Link, steps: int, sent: Any) -> tuple[CollectiveTime, ...]:
    """A ring under the protocol for small tensors, where the link's file has one."""
    if link.small_floor is None or link.small_latency is None or link.small_share is None:
        return ()
    latency = link.small_floor.value + steps * link.small_latency.value
    rate = link.bandwidth.value * link.small_share.value
    return (CollectiveTime(latency + sent / rate, latency, sent, "small ring"),)


def _shorter(one: CollectiveTime, other: CollectiveTime) -> CollectiveTime:
    """The shorter way, row by row."""
    first = one.time_s <= other.time_s
    if not np.ndim(first):
        return one if first else other
    pairs = zip(astuple(one), astuple(other), strict=True)
    return CollectiveTime(*(np.where(first, mine, others) for mine, others in pairs))


def link_between(p: GpuParameters, gpus: int, name: str = "auto") -> Link | Infeasible:
    """The link that ``gpus`` cards use: within a node the card's own, beyond it the network."""
    links = {p.link.name: p.link}
    inner = p.link
    outer = p.cluster.network if p.cluster else None
    if outer is not None:
        links[outer.name] = outer
    if name != "auto":
        if name in links:
            return links[name]
        reason = f"{p.name} has no link {name}; it has {', '.join(links)}"
        return Infeasible(name, 1, 0, "links", reason, {name: 1}, tuple(f"link={each}" for each in links))
    within = p.cluster is None or p.cluster.cards_per_node is None or gpus <= p.cluster.cards_per_node
    return inner if within or outer is None else outer


def collective_estimate(p: GpuParameters, op: Op) -> Estimate | Infeasible:
    """Time of a collective op."""
    link = link_between(p, op.dims["gpus"], str(op.attributes["link"]))
    if isinstance(link, Infeasible):
        return link
    found = collective_time(link, str(op.attributes["op"]), 1.0 * op.dims["bytes"], op.dims["gpus"])
    bound = limiter((found.latency_s > 0.5 * found.time_s, "latency"), otherwise="link")
    mapping: dict[str, float | str] = {"algorithm": found.algorithm, "link": link.name}
    return Estimate(found.time_s, bound, {"link": found.sent_bytes}, mapping=mapping)
