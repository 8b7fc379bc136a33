"""`FpgaDevice`: the FPGA family behind the device protocol."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, cast

from hwsim.devices.base import Enters, FormatChoice, Lowered, PassWork, Resource, Roofs
from hwsim.devices.fpga.backtracking import plan
from hwsim.devices.fpga.capacity import block_misfit, check_fabric, check_memory, demand_of
from hwsim.devices.fpga.layer import MambaLayer, layer_of, misfits
from hwsim.devices.fpga.load import Load, loads_of
from hwsim.devices.fpga.parameters import FpgaParameters, whole
from hwsim.devices.fpga.traffic import beat_bytes, input_bits, nominal_bytes_per_s, scaled_bits
from hwsim.errors import Infeasible
from hwsim.formats import FORMATS

if TYPE_CHECKING:
    from hwsim.devices.fpga.body import Body
    from hwsim.workload.decoding import Policy
    from hwsim.workload.graph import Graph
    from hwsim.workload.model import FormatName, Formats
    from hwsim.workload.op import Op

__all__ = ["FpgaDevice"]

_RUNS: Final = frozenset({"gemm", "conv1d", "scan", "norm", "elementwise"})
_HOST: Final = frozenset({"embedding"})
_NORMS: Final = frozenset({"rmsnorm", "gated_rmsnorm"})
_ELEMENTWISE: Final = frozenset({"add", "mul", "silu", "silu_mul", "softplus", "softplus_bias", "quantize"})
"""What the vector units compute: residual, gate, SiLU, softplus and the quantisers (MAMBA.scala's unit list)."""
_MIXERS: Final = frozenset({"mamba1", "mamba2"})
_MACS_PER_STATE: Final = 2
"""Multiply-accumulates of one state element: h = a*h + (dt*x)*B and y += h*C."""


@dataclass(frozen=True, slots=True)
class FpgaDevice:
    """A machine of the FPGA family: a frozen value around its catalog parameters."""

    parameters: FpgaParameters

    @property
    def name(self) -> str:
        """The name the user types."""
        return self.parameters.name

    @property
    def family(self) -> str:
        """``fpga``."""
        return self.parameters.family

    @property
    def clock_hz(self) -> float:
        """The fabric clock."""
        return self.parameters.clock.value

    @property
    def verifies_trees(self) -> bool:
        """Whether the speculative extension is built in."""
        return self.parameters.verifies_trees

    @property
    def resources(self) -> tuple[Resource, ...]:
        """Memory port, linear core, scan lanes and vector units."""
        p, clock = self.parameters, self.clock_hz
        vector = whole(p.vector.lanes) * clock
        return (
            Resource("memory", "off-chip memory port", nominal_bytes_per_s(p), "bytes/s"),
            Resource("linear", "GEMM tensor core", self._linear_macs_per_s, "mac/s"),
            Resource("scan", "state-update lanes", whole(p.scan.lanes) * clock, "elements/s"),
            Resource("conv", "depthwise conv", vector, "elements/s"),
            Resource("norm_in", "residual and norm before in_proj", vector, "elements/s"),
            Resource("gate", "gate and norm behind the scan", vector, "elements/s"),
        )

    @property
    def roofs(self) -> Roofs:
        """The linear core in the weights' format, the lanes in the state's, and off-chip memory."""
        p = self.parameters
        peaks = {p.formats.weights: self._linear_macs_per_s}
        lanes = whole(p.scan.lanes) * _MACS_PER_STATE * self.clock_hz
        peaks[p.formats.state] = lanes + peaks.get(p.formats.state, 0.0)
        return Roofs(peaks, {"dram": nominal_bytes_per_s(p)})

    @property
    def _linear_macs_per_s(self) -> float:
        linear = self.parameters.linear
        return whole(linear.tp) * whole(linear.cip) * whole(linear.cop) * self.clock_hz

    def formats(self, asked: Formats) -> tuple[Formats, FormatChoice]:
        """Every role in the one format that the design is built for."""
        built = self.parameters.formats
        weights, activations = cast("FormatName", built.weights), cast("FormatName", built.activations)
        state = cast("FormatName", built.state)
        used = {"weights": built.weights, "activations": built.activations, "state": built.state}
        wanted = {role: getattr(asked, role) for role in used}
        adapted = replace(
            asked,
            weights=weights,
            activations=activations,
            state=state,
            conv=state,
            vectors=state,
            embedding=weights,
            head=weights,
            kv=activations,
            acc="int32",
            weight_group=whole(built.weight_group),
        )
        return adapted, FormatChoice(wanted, used)

    def supports(self, op: Op) -> Infeasible | None:
        """None for the ops of a Mamba model in the design's formats."""
        if op.kind == "attention":
            return _missing("attention unit", f"{self.name} has no attention unit", op)
        if op.kind not in _RUNS | _HOST:
            return _missing(f"{op.kind} unit", f"{self.name} has no unit for {op.kind}", op)
        if op.kind == "scan" and op.attributes["mixer"] not in _MIXERS:
            return _missing("scan unit", f"{self.name}'s lanes run mamba1 and mamba2 only", op)
        known = {"norm": _NORMS, "elementwise": _ELEMENTWISE}.get(op.kind)
        if known and op.attributes["op"] not in known:
            name = str(op.attributes["op"])
            return _missing(f"{name} unit", f"{self.name}'s vector units do not compute {name}", op)
        return self._supports_formats(op)

    def _supports_formats(self, op: Op) -> Infeasible | None:
        built = self.parameters.formats
        roles: dict[str, dict[str, str]] = {
            "gemm": {"weight": built.weights, "activation": built.activations},
            "scan": {"state": built.state},
            "conv1d": {"state": built.state},
        }
        for place, operand in enumerate(op.operands):
            if operand.name == "bias":  # added to the accumulator, in its width
                continue
            needed = roles.get(op.kind, {}).get(operand.role)
            if op.kind == "gemm" and place == 1:  # activations that another one is multiplied by stream as weights do
                needed = built.weights
            if needed and operand.format != needed:
                unit = "linear core" if op.kind == "gemm" else f"{op.kind} unit"
                reason = f"{self.name}'s {unit} takes {needed} for {operand.role}, not {operand.format}"
                return _missing("number format", reason, op, f"run it with {operand.role} in {needed}")
        return None

    def map(self, op: Op) -> dict[str, int]:
        """How the op is tiled: the linear core's shape for a GEMM, the lanes' for a scan."""
        p = self.parameters
        if op.kind == "gemm":
            return {"tp": whole(p.linear.tp), "cip": whole(p.linear.cip), "cop": whole(p.linear.cop)}
        if op.kind == "scan":
            return {"tile_channels": whole(p.scan.tile_channels), "lanes": whole(p.scan.lanes)}
        return {"lanes": whole(p.vector.lanes)}

    def plan_state(
        self, graph: Graph, works: tuple[PassWork, ...], policy: Policy, accepted_tokens: int
    ) -> tuple[PassWork, ...]:
        """The passes of one model with their state plans (see `backtracking`)."""
        return plan(self.parameters, _widest(graph), works, policy, accepted_tokens)

    def fabric_demand(self, graph: Graph, work: PassWork) -> tuple[Mapping[str, Mapping[str, float]], ...]:
        """Demand of LUT, DSP, BRAM and URAM by unit, for each load of a pass; empty for a model without layers."""
        layer = _widest_or_none(graph)
        if layer is None:
            return ()
        return demand_of(self.parameters, layer, work)

    def fits(self, passes: tuple[tuple[Graph, PassWork], ...]) -> Infeasible | None:
        """The layers' structure, then fabric for every pass on its own, then off-chip memory for all together."""
        for graph, work in passes:
            bad = self._structure(graph) or self._block(graph, work)
            if bad:
                return bad
        for graph, work in passes:
            for terms in self.fabric_demand(graph, work):
                bad = check_fabric(self.parameters, terms)
                if bad:
                    return bad
        return check_memory(self.parameters, self.footprint(passes))

    def _structure(self, graph: Graph) -> Infeasible | None:
        """None when every layer is a plain Mamba layer: the dataflow has one order and a fixed chain of units."""
        for ops, _ in _layer_runs(graph):
            names = misfits(ops)
            if names:
                reason = f"{self.name}'s dataflow runs plain Mamba layers; a layer of {graph.name} departs from them"
                terms = dict.fromkeys(names, 1)
                levers = ("a Mamba workload, or a machine of another family",)
                return Infeasible("layer structure", len(terms), 0, "ops", reason, terms, levers)
        return None

    def _block(self, graph: Graph, work: PassWork) -> Infeasible | None:
        """None when the layers and the pass are what an RTL block can run, or when this machine is no block."""
        if self.parameters.structure != "block":
            return None
        found = (block_misfit(self.parameters, layer_of(ops), work) for ops, _ in _layer_runs(graph))
        return next((bad for bad in found if bad), None)

    def footprint(self, passes: tuple[tuple[Graph, PassWork], ...]) -> dict[str, float]:
        """Off-chip bytes: weights of each model once; states, conv windows and saved inputs of a whole step.

        Activations stay on chip.
        """
        p = self.parameters
        weights: dict[str, float] = {}
        state = 0.0
        for graph, work in passes:
            model = "draft" if work.role == "draft" else "target"
            if model not in weights:
                weights[model] = sum(self._weight_bytes(op) * count for op, count in graph.distinct())
            copies = max(work.state.reads, work.state.writes)
            for ops, repeats in _layer_runs(graph):
                layer = layer_of(ops)
                state += repeats * work.batch * copies * input_bits(p, layer.state_elements) / 8
                conv = layer.conv_channels * layer.d_conv
                state += repeats * work.batch * input_bits(p, conv) / 8
                state += repeats * work.batch * work.state.saved_inputs * input_bits(p, layer.scan_inputs) / 8
        return {"weights": sum(weights.values()), "state": state, "activations": 0.0}

    def _weight_bytes(self, op: Op) -> float:
        """Weights that one op streams; a head has its own, in the core's format, even where its table is tied."""
        f = self.parameters.formats
        if op.kind == "gemm":
            elements = op.dims["batch"] * op.dims["n"] * op.dims["k"] if op.operands[1].role == "weight" else 0
            bits = scaled_bits(elements, FORMATS[f.weights].bits, f.weight_scale_bits.value, whole(f.weight_group))
            return bits / 8
        return 0.0 if op.kind in _HOST else input_bits(self.parameters, op.parameters) / 8

    def lower(self, graph: Graph, work: PassWork) -> tuple[Lowered, ...]:
        """One program per stretch of equal layers and per op outside the layers, for each load."""
        lowered: list[Lowered] = []
        for load in loads_of(self.parameters, work):
            lowered += [self._layers(ops, repeats, load) for ops, repeats in _layer_runs(graph)]
        for op in graph.ops:
            if op.layer is None and op.kind not in _HOST:
                lowered += [self._single(op, load) for load in _loads_of_op(self.parameters, op, work)]
        return tuple(lowered)

    def _layers(self, ops: tuple[Op, ...], repeats: int, load: Load) -> Lowered:
        from hwsim.devices.fpga.block import block_body  # noqa: PLC0415 - brings in the engine, which `check` never needs
        from hwsim.devices.fpga.body import layer_body  # noqa: PLC0415 - as above

        make = block_body if self.parameters.structure == "block" else layer_body
        return self._lowered(make(self.parameters, layer_of(ops), load), repeats, load)

    def _single(self, op: Op, load: Load) -> Lowered:
        from hwsim.devices.fpga.single import single_body  # noqa: PLC0415 - as above

        return self._lowered(single_body(self.parameters, op, load), 1, load)

    def _lowered(self, body: Body, reps: int, load: Load) -> Lowered:
        from hwsim.schedule import Program  # noqa: PLC0415 - as above

        width = beat_bytes(self.parameters)
        moved = {name: {"dram": float(beats * width)} for name, beats in body.beats.items()}
        return Lowered(Program(tuple(body.stages), tuple(body.edges), reps, tuple(body.orders)), moved, load.repeats)

    def energy_pj(self, op: Op, moved_bytes: Mapping[str, float], work: PassWork) -> dict[str, float]:
        """MACs of the linear core, state updates with their on-chip traffic, and off-chip bytes."""
        p, energy = self.parameters, self.parameters.energy
        out = {"dram": moved_bytes.get("dram", 0.0) * energy.dram.value}
        if op.kind == "scan":
            tokens = work.tokens + work.state.rerun_tokens + work.state.replayed_tokens
            per_token = op.dims["groups"] * op.dims["group"] * op.dims["head_dim"] * op.dims["d_state"]
            elements = per_token * tokens * work.batch
            out["scan"] = elements * energy.scan_op.value
            out["on_chip"] = 2 * input_bits(p, per_token) / 8 * tokens * work.batch * energy.on_chip.value
        elif op.kind == "gemm":
            again = 1 + work.state.rerun_tokens / work.tokens if op.layer is not None else 1.0
            out["linear"] = op.macs * again * energy.mac.value
        return out

    def enters(self, path: str) -> Enters:
        """Energies under ``energy``; part, fabric and per-unit demands decide only whether the design fits."""
        if path.startswith("energy."):
            return "energy"
        fits_only = path.startswith(("part.", "fabric.")) or path.endswith(("_per_mac", "_per_lane", ".capacity"))
        return "capacity" if fits_only else "time"

    def static_power_w(self) -> float:
        """Clock tree, leakage and idle units."""
        return self.parameters.energy.static_power.value


def _missing(
    resource: str, reason: str, op: Op, lever: str = "a Mamba workload, or a machine of another family"
) -> Infeasible:
    return Infeasible(resource, 1, 0, "units", f"{reason} (needed by {op.name})", {op.name: 1}, (lever,))


def _layer_runs(graph: Graph) -> list[tuple[tuple[Op, ...], int]]:
    """Stretches of equal layers, without the ops outside the layers."""
    return [(run.ops, run.repeats) for run in graph.layer_runs() if run.ops[0].layer is not None]


def _widest_or_none(graph: Graph) -> MambaLayer | None:
    layers = [layer_of(ops) for ops, _ in _layer_runs(graph)]
    return max(layers, key=lambda layer: layer.state_elements, default=None)


def _widest(graph: Graph) -> MambaLayer:
    layer = _widest_or_none(graph)
    if layer is None:
        raise ValueError("speculative decoding needs a model with layers")
    return layer


def _loads_of_op(p: FpgaParameters, op: Op, work: PassWork) -> tuple[Load, ...]:
    """The loads of an op outside the layers; independent products have weights of their own, so each has its loads."""
    products = op.dims["batch"] if op.kind == "gemm" else 1
    if products == 1:
        return loads_of(p, _rows_of(op, work))
    one = PassWork("decode", tokens=op.dims["m"])
    return tuple(replace(load, repeats=load.repeats * products) for load in loads_of(p, one))


def _rows_of(op: Op, work: PassWork) -> PassWork:
    """The pass as an op outside the layers sees it: its own rows when they are not the pass's."""
    rows = op.dims["m"] if op.kind == "gemm" else op.dims.get("tokens", work.tokens * work.batch)
    if op.kind in ("scan", "conv1d") or rows == work.tokens * work.batch:
        return work
    return PassWork(work.role if work.role != "prefill" else "decode", tokens=1, batch=rows)
