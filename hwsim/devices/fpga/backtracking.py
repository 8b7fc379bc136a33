"""State plans of a speculative step by backtracking policy, and the choice that `auto` makes.

cache   every node's state is written; the accepted one is read in the next step.
replay  the scan inputs of every node are written; the next step reads those of the accepted path and runs the scan
        over them again (no weights), then writes the state once.
rerun   the next step runs the accepted tokens through the whole model again, together with its own nodes.

A draft pass of level l processes the nodes of level l - 1. Under `cache` it reads each distinct parent state and
writes one per node; under `replay` it reads the committed state and runs every earlier node of the tree again.

`auto` takes, of the policies that the chip can hold, the one with the least of what they differ in: cycles of their
off-chip traffic, of the scan where it outlasts the in_proj that hides it, and of further passes of the linear core.
Where the scan stays hidden and reruns fill idle token slots, that is the one with the least traffic.

Source: traffic terms after the Mamba-in-the-Llama code (itsdaniele/speculative_mamba) and first principles; which
policy SpecMamba gives to which model is not published.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from hwsim.devices.base import PassWork, StatePlan
from hwsim.devices.fpga.capacity import check_fabric, demand_of
from hwsim.devices.fpga.layer import MambaLayer, gemm_tiles
from hwsim.devices.fpga.load import loads_of
from hwsim.devices.fpga.parameters import FpgaParameters, whole
from hwsim.devices.fpga.traffic import state_beats, transfer, weight_beats
from hwsim.timing.scan import scan_cycles

if TYPE_CHECKING:
    from hwsim.workload.decoding import Policy, TokenTree

__all__ = ["plan", "plan_traffic_beats"]


def plan(
    p: FpgaParameters, layer: MambaLayer, works: tuple[PassWork, ...], policy: Policy, accepted_tokens: int
) -> tuple[PassWork, ...]:
    """The passes with their state plans; `auto` is resolved to one policy for all of them."""
    if policy != "auto":
        return _planned(works, policy, accepted_tokens)
    candidates = [_planned(works, name, accepted_tokens) for name in _PLANS]
    held = [each for each in candidates if all(_held(p, layer, work) for work in each)] or candidates
    return min(held, key=lambda each: (_cycles(p, layer, each), plan_traffic_beats(p, layer, each)))


def plan_traffic_beats(p: FpgaParameters, layer: MambaLayer, works: tuple[PassWork, ...]) -> int:
    """Beats of state and saved inputs that the passes move per layer and sequence."""
    state, inputs = state_beats(p, layer.state_elements), state_beats(p, layer.scan_inputs)
    plans = [work.state for work in works]
    return sum((s.reads + s.writes) * state + (s.saved_inputs + s.loaded_inputs) * inputs for s in plans)


def _planned(works: tuple[PassWork, ...], policy: str, accepted: int) -> tuple[PassWork, ...]:
    make = _PLANS[policy]
    return tuple(replace(work, state=make(work, accepted)) for work in works)


def _tree(work: PassWork) -> TokenTree:
    if work.tree is None:
        raise ValueError("a speculative pass carries its tree")
    return work.tree


def _cache(work: PassWork, accepted: int) -> StatePlan:
    if work.role == "verify":
        return StatePlan("cache", reads=1, writes=work.tokens)
    level = work.level - 1
    parents = _parents_of_level(_tree(work), level) if level else 1
    return StatePlan("cache", reads=parents, writes=work.tokens, rerun_tokens=_catch_up(work))


def _replay(work: PassWork, accepted: int) -> StatePlan:
    if work.role == "verify":
        return StatePlan("replay", 1, 1, saved_inputs=work.tokens, loaded_inputs=accepted, replayed_tokens=accepted)
    earlier = sum(len(nodes) for nodes in _tree(work).levels[: work.level - 1])
    if work.level == 1:  # the committed state moves on over the tokens that the last step accepted
        return StatePlan("replay", 1, 1, work.tokens, accepted, accepted, _catch_up(work))
    return StatePlan("replay", 1, 0, work.tokens, earlier, earlier)


def _rerun(work: PassWork, accepted: int) -> StatePlan:
    if work.role == "verify":
        return StatePlan("rerun", 1, 1, rerun_tokens=accepted)
    level = work.level - 1
    parents = _parents_of_level(_tree(work), level) if level else 1
    return StatePlan("rerun", parents, work.tokens, rerun_tokens=0 if level else accepted)


_HIDES_SCAN: Final = ("in_proj", "in_proj.z")
"""The stretch of GEMM tiles under which the scan runs: Mamba-2's and Mamba-1's."""

_PLANS: Final[dict[str, Callable[[PassWork, int], StatePlan]]] = {"cache": _cache, "replay": _replay, "rerun": _rerun}


def _parents_of_level(tree: TokenTree, level: int) -> int:
    """Distinct parents of the nodes of ``level`` (1 or more)."""
    return len({tree.parents[node - 1] for node in tree.levels[level]})


def _catch_up(work: PassWork) -> int:
    """Tokens that the first draft pass takes along: a leaf that was accepted was never run by the draft."""
    return 1 if work.level == 1 else 0


def _held(p: FpgaParameters, layer: MambaLayer, work: PassWork) -> bool:
    """Whether the chip's fabric and block memories suffice."""
    return all(check_fabric(p, terms) is None for terms in demand_of(p, layer, work))


def _cycles(p: FpgaParameters, layer: MambaLayer, works: tuple[PassWork, ...]) -> int:
    """Estimated cycles of a layer over the passes, as far as policies differ: an order among them, not an answer."""
    return sum(_pass_cycles(p, layer, work) for work in works)


def _pass_cycles(p: FpgaParameters, layer: MambaLayer, work: PassWork) -> int:
    """State traffic, then the GEMMs at the rate of the core or of their weights, and the scan beside one of them."""
    load = loads_of(p, work)[0]
    traffic = transfer(p, plan_traffic_beats(p, layer, (work,)) * load.sequences)
    total = traffic.cycles if traffic else 0
    tile, lanes = whole(p.scan.tile_channels), whole(p.scan.lanes)
    scan = scan_cycles(
        layer.d_inner, layer.d_state, load.scan_tokens, tile_channels=tile, lanes=lanes, ports=whole(p.scan.ports)
    )
    for gemm in gemm_tiles(p, layer):
        weights = transfer(p, weight_beats(p, gemm.weights))
        cycles = max(gemm.tiles * gemm.cycles_per_tile(p, load.slots), weights.cycles if weights else 0)
        total += max(cycles, scan) if gemm.name in _HIDES_SCAN else cycles
    return total
