"""How many tokens to draft: speed of speculative decoding by the nodes that a verification takes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from hwsim.errors import HwsimError, Infeasible
from hwsim.result import Result
from hwsim.workload.decoding import Autoregressive, Speculative, TreeForm
from hwsim.workload.model import Workload

__all__ = ["TreeSize", "TreeSizes", "tree_sizes"]


@dataclass(frozen=True, slots=True)
class TreeSize:
    """One tree size on one machine.

    Attributes:
        nodes: tokens verified at once, the root included.
        tokens_per_step: tokens that a step yields.
        speed_up: tokens per second over one token at a time on the same machine.
        verify_cost: time of the verification over that of one token.
        bound: the step's limiter.
    """

    nodes: int
    tokens_per_step: float
    speed_up: float
    verify_cost: float
    bound: str


@dataclass(frozen=True, slots=True)
class TreeSizes:
    """Tree sizes on one machine; those that it cannot run are left out."""

    device: str
    sizes: tuple[TreeSize, ...]

    @property
    def best(self) -> TreeSize:
        """The size with the most speed."""
        return max(self.sizes, key=lambda size: size.speed_up)


def tree_sizes(workload: Workload, drafted: Sequence[int], run: Callable[[Workload], Result | Infeasible]) -> TreeSizes:
    """Chains of each length in ``drafted``, against one token at a time.

    Args:
        workload: speculative, with a chain's acceptance.
        drafted: numbers of drafted tokens.
        run: simulates a workload on the machine in question.

    Raises:
        HwsimError: the workload is not speculative, or the machine cannot run it at all.
    """
    if not isinstance(workload.decoding, Speculative):
        raise HwsimError.at(workload.name, "autoregressive decoding", "a speculative workload")
    single = run(replace(workload, decoding=Autoregressive()))
    if isinstance(single, Infeasible):
        raise HwsimError.at(workload.name, str(single), "a machine that runs it")
    sizes = []
    for length in drafted:
        decoding = replace(workload.decoding, tree=TreeForm(chain=length))
        answer = run(replace(workload, decoding=decoding))
        if not isinstance(answer, Infeasible):
            sizes.append(_size(answer, single, length + 1))
    return TreeSizes(single.device, tuple(sizes))


def _size(answer: Result, single: Result, nodes: int) -> TreeSize:
    verify_s = float(answer.speculative["verify_s"]) if answer.speculative else answer.step_s
    return TreeSize(
        nodes=nodes,
        tokens_per_step=answer.tokens_per_step,
        speed_up=answer.tokens_per_step * single.step_s / answer.step_s,
        verify_cost=verify_s / single.step_s,
        bound=answer.bound,
    )
