"""Collective operations between cards."""

from __future__ import annotations

from hwsim.workload.op import Op
from hwsim.workload.ops.checks import attributes_of, check, choice, dims_of, tensor

__all__ = ["COLLECTIVES", "collective"]

COLLECTIVES = ("all_reduce", "all_gather", "reduce_scatter", "send_recv")


def collective(op: str, bytes: int, gpus: int, link: str = "auto") -> Op:
    """A collective of ``gpus`` cards.

    Args:
        op: all_reduce (each card ends with the sum), all_gather (each ends with all parts), reduce_scatter (each ends
            with its part of the sum), send_recv (one card to another).
        bytes: bytes of the whole tensor: summed, gathered, or sent.
        gpus: cards that take part.
        link: the way between them, ``auto`` for the machine's own choice.

    Raises:
        HwsimError: an unknown operation, or fewer than two cards.
    """
    choice("collective", "op", op, COLLECTIVES)
    dims = dims_of("collective", bytes=bytes, gpus=gpus)
    check(gpus >= 2, "collective", f"gpus={gpus}", "2 or more")
    check(op != "send_recv" or gpus == 2, "collective", f"gpus={gpus} with op=send_recv", "gpus=2: one card to another")
    operands = (tensor("x", "activation", "int8", "bytes"), tensor("out", "output", "int8", "bytes"))
    return Op("collective", "collective", dims, operands, attributes_of(op=op, link=link))
