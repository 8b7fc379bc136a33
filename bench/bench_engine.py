"""How fast the engine runs: stepping against SimPy on the same programs, and skipping against stepping.

    python bench/bench_engine.py [--full]

Prints tables to stdout and writes nothing. Times are the best of a few runs of `hwsim.schedule.run`, the layout of the
program included. Ratios count more than seconds: both sides run in one process, one after the other.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from typing import Any

import simpy

from hwsim.schedule import Block, Order, Program, Schedule, Stage, after, barrier, fifo, previous_rep, ratio, run

# -- programs --------------------------------------------------------------------------------------------------------


def pipeline(tiles: int) -> Program:
    """Four units in a row, double-buffered."""
    stages = tuple(Stage.uniform(f"unit{i}", f"unit{i}", tiles, cycles) for i, cycles in enumerate((3, 5, 4, 2)))
    links = list(pairwise(stages))
    return Program(stages, tuple(edge for u, v in links for edge in (after(u, v), fifo(u, v, 2))))


def chained(produced: int, consumed: int, producer_tiles: int) -> Program:
    """Two units that cut the same stream differently, behind a buffer of four tiles of each."""
    u = Stage.uniform("producer", "u", producer_tiles, produced)
    v = Stage.uniform("consumer", "v", producer_tiles * produced // consumed, consumed)
    depth = 4 * (produced + consumed)
    rates = {"produced": produced, "consumed": consumed}
    return Program((u, v), (ratio(u, v, **rates), fifo(u, v, depth, **rates)))


def shared_port(tiles: int, *, arbitrated: bool) -> Program:
    """Three streams that take turns on one port, each with its own core."""
    loads = [Stage.uniform(f"load{i}", "port", tiles, 4) for i in range(3)]
    cores = [Stage.uniform(f"core{i}", f"core{i}", tiles, cycles) for i, cycles in enumerate((9, 13, 11))]
    edges = tuple(
        edge for load, core in zip(loads, cores, strict=True) for edge in (after(load, core), fifo(load, core, 2))
    )
    turns = Order("port", (Block(tiles, tuple((load.name, 1) for load in loads)),))
    if arbitrated:
        return Program((*loads, *cores), edges, arbitrated=frozenset({"port"}))
    return Program((*loads, *cores), edges, orders=(turns,))


def lightmamba(layers: int, fifo_bursts: int = 4) -> Program:
    """The shape of the FPGA machine's program for Mamba-2 2.7B: one port, one matrix unit, conv, scan and two norms.

    Weights arrive in bursts of 256 beats; an in_proj tile uses 1295/1024 of a burst, an out_proj tile twice that.
    """
    burst, in_units, out_units = 1024, 1295, 2590
    rest = ((2, 256), (1, 202))
    conv_in, conv_w = Stage("conv_in", "axi", 3, rest), Stage("conv_w", "axi", 3, rest)
    h_in = Stage.uniform("h_in", "axi", 85, 256)
    weights = Stage("weights", "axi", 2482, ((2481, 256), (1, 63)))
    conv_out, h_out = Stage("conv_out", "axi", 3, rest), Stage.uniform("h_out", "axi", 85, 256)
    in_proj, out_proj = Stage.uniform("in_proj", "gemm", 1322, 320), Stage.uniform("out_proj", "gemm", 320, 640)
    norm_1, norm_2 = Stage.uniform("norm_1", "norm_1", 1, 660), Stage.uniform("norm_2", "norm_2", 1, 1300)
    conv, ssm = Stage.uniform("conv", "conv", 672, 8), Stage.uniform("ssm", "ssm", 640, 256)
    first_out = 1322 * in_units
    split = next(j for j in range(2482) if (j + 1) * burst - 1 - fifo_bursts * burst >= first_out)
    room = {"depth": fifo_bursts * burst, "produced": burst}
    edges = (
        previous_rep(out_proj, norm_1),
        barrier(norm_1, in_proj),
        ratio(weights, in_proj, produced=burst, consumed=in_units),
        ratio(weights, out_proj, produced=burst, consumed=out_units, skip=first_out),
        fifo(weights, out_proj, **room, consumed=out_units, hi=fifo_bursts),
        fifo(weights, in_proj, **room, consumed=in_units, lo=fifo_bursts, hi=split),
        fifo(weights, out_proj, **room, consumed=out_units, skip=first_out, lo=split),
        after(in_proj, conv, hi=32),
        replace(after(in_proj, conv), a=129, b=33 * 64 - 32 * 129, c=64, lo=32),
        barrier(conv_in, conv),
        barrier(conv_w, conv),
        after(conv, ssm, lag=32),
        ratio(h_in, ssm, produced=256, consumed=34),
        fifo(h_in, ssm, 2 * 21760, produced=256, consumed=34),
        ratio(ssm, h_out, produced=34, consumed=256),
        barrier(conv, conv_out),
        barrier(ssm, norm_2),
        barrier(norm_2, out_proj),
    )
    stages = (conv_in, conv_w, h_in, weights, conv_out, h_out, norm_1, in_proj, out_proj, conv, ssm, norm_2)
    return Program(stages, edges, layers)


def amx(cores: int, tiles: int) -> Program:
    """Cores that load tiles from one arbitrated memory and compute on them."""
    loads = [Stage.uniform(f"load{i}", "dram", tiles, 3) for i in range(cores)]
    works = [Stage.uniform(f"work{i}", f"core{i}", tiles, 16) for i in range(cores)]
    edges = tuple(e for u, v in zip(loads, works, strict=True) for e in (after(u, v), fifo(u, v, 2)))
    return Program((*loads, *works), edges, arbitrated=frozenset({"dram"}))


# -- the other simulator -----------------------------------------------------------------------------------------------


def in_simpy(program: Program) -> int:
    """The same program as SimPy processes, one per resource, as a SimPy user would write it; returns the makespan."""
    env = simpy.Environment()
    stages = {stage.name: stage for stage in program.stages}
    done = dict.fromkeys(stages, 0)
    waiting: dict[str, list[tuple[int, simpy.Event]]] = {name: [] for name in stages}
    edges = {name: [edge for edge in program.edges if edge.consumer == name] for name in stages}
    orders = {order.resource: order.blocks for order in program.orders}

    def serve(resource: str) -> Any:
        listed = tuple(Block(1, ((stage.name, stage.tiles),)) for stage in program.stages_on(resource))
        blocks = orders.get(resource, listed)
        cycles = {name: [c for count, c in stages[name].durations for _ in range(count)] for name in stages}
        for rep in range(program.reps):
            at = dict.fromkeys(stages, 0)
            for name in (s for b in blocks for _ in range(b.times) for s, count in b.segments for _ in range(count)):
                pos = at[name]
                for edge in edges[name]:
                    if edge.lo <= pos < (stages[name].tiles if edge.hi is None else edge.hi):
                        need = rep * stages[edge.producer].tiles + (edge.a * pos + edge.b) // edge.c + 1
                        if done[edge.producer] < need:
                            event = env.event()
                            waiting[edge.producer].append((need, event))
                            yield event
                yield env.timeout(cycles[name][pos])
                at[name] = pos + 1
                done[name] += 1
                for need, event in waiting[name][:]:
                    if need <= done[name]:
                        waiting[name].remove((need, event))
                        event.succeed()

    for resource in program.resources:
        env.process(serve(resource))
    env.run()
    return int(env.now)


# -- the tables ----------------------------------------------------------------------------------------------------


def best_of(times: int, call: Callable[[], Any]) -> tuple[float, Any]:
    """Least wall-clock seconds of several calls, and the last result."""
    best, result = float("inf"), None
    for _ in range(times):
        begin = time.perf_counter()
        result = call()
        best = min(best, time.perf_counter() - begin)
    return best, result


def makespan(result: object) -> int:
    """The makespan of a schedule; a deadlock ends the benchmark."""
    if not isinstance(result, Schedule):
        raise SystemExit(f"the benchmark's program stands still: {result}")
    return result.makespan_cycles


def against_simpy() -> None:
    """Stepping against SimPy, with makespans compared."""
    programs = {
        "pipeline of 4, 10^5 tiles each": (pipeline(100_000), pipeline(10_000)),
        "chained at 661/160": (chained(160, 661, 661 * 200), chained(160, 661, 661 * 40)),
        "3 streams in turn on one port": (
            shared_port(100_000, arbitrated=False),
            shared_port(10_000, arbitrated=False),
        ),
        "LightMamba-like, 64 layers": (lightmamba(64), lightmamba(4)),
    }
    print(f"{'stepping every tile':34}{'engine':>14}{'SimPy':>14}{'ratio':>8}")
    for name, (large, small) in programs.items():
        engine_s, _ = best_of(5, lambda program=large: run(program, skip=False))
        simpy_s, simpy_makespan = best_of(2, lambda program=small: in_simpy(program))
        if simpy_makespan != makespan(run(small)):
            raise SystemExit(f"{name}: SimPy finds {simpy_makespan} cycles, the engine {makespan(run(small))}")
        rate, simpy_rate = large.tiles / engine_s, small.tiles / simpy_s
        print(f"{name:34}{rate / 1e6:10.1f} M/s{simpy_rate / 1e6:10.3f} M/s{rate / simpy_rate:7.0f}x")


def against_stepping(full: bool) -> None:
    """Skipping against stepping."""
    programs = {f"pipeline of 4, {4 * n:.0e} tiles": pipeline(n) for n in (250, 2_500, 25_000, 250_000, 2_500_000)}
    programs["chained at 661/160"] = chained(160, 661, 661 * 1000)
    programs["chained at 999983/1000003"] = chained(999_983, 1_000_003, 1_000_003)
    programs["3 streams in turn on one port"] = shared_port(300_000, arbitrated=False)
    programs["3 streams, arbitrated"] = shared_port(300_000, arbitrated=True)
    programs["64 cores on one memory"] = amx(64, 10_000)
    programs["LightMamba-like, 64 layers"] = lightmamba(64)
    if full:
        programs["LightMamba-like, 6400 layers"] = lightmamba(6400)
    print(f"\n{'':34}{'tiles':>12}{'stepping':>14}{'skipping':>14}{'tiles stepped':>15}{'ratio':>9}")
    for name, program in programs.items():
        step_s, stepped = best_of(2, lambda program=program: run(program, skip=False))
        skip_s, skipped = best_of(5, lambda program=program: run(program))
        if stepped != skipped:
            raise SystemExit(f"{name}: skipping changes the result")
        print(
            f"{name:34}{program.tiles:12,}{1e3 * step_s:11.2f} ms{1e3 * skip_s:11.3f} ms{skipped.steps:15,}"
            f"{step_s / skip_s:8.0f}x"
        )


def main(full: bool = False) -> None:
    """Print both tables; ``full`` adds 6400 layers, 36 M tiles."""
    first_s, _ = best_of(1, lambda: run(pipeline(10)))
    print(f"first run, kernel loaded or compiled: {first_s:.2f} s\n")
    against_simpy()
    against_stepping(full)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="The engine's speed: stepping, SimPy, skipping.")
    parser.add_argument("--full", action="store_true", help="also 6400 layers (36 M tiles)")
    main(parser.parse_args().full)
