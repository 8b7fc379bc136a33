"""The one cocotb bench: drives every stream of any unit from a plan, watches the stream rules, records what came.

It judges nothing about values: the outcome goes back as JSON and `rtl_runner` checks it by name. The only loop is
bounded by the plan's cycle limit.
"""

import json
import os
import random
from pathlib import Path

import cocotb
from cocotb.triggers import Timer

HALF_NS = 5


class Gate:
    """When a side offers (source) or accepts (sink).

    Always, at random by seed, with long stalls, patient (the sink waits for valid), or ``every:n``-th cycle.
    """

    def __init__(self, kind, seed, name):
        self.kind, self.rng, self.left = kind, random.Random(f"{seed}/{name}"), 0

    def open(self, seen):
        if self.kind == "none":
            return True
        if self.kind == "patient":
            return seen
        if self.left:
            self.left -= 1
            return False
        if self.kind.startswith("every:"):
            self.left = int(self.kind.removeprefix("every:")) - 1
            return True
        chance, length = (0.3, 1) if self.kind == "random" else (0.04, 25)
        if self.rng.random() < chance:
            self.left = length - 1
            return False
        return True


class Source:
    def __init__(self, dut, name, beats, gate):
        self.name, self.beats, self.gate = name, beats, gate
        self.valid = getattr(dut, f"{name}__valid")
        self.payload, self.ready = getattr(dut, f"{name}__payload"), getattr(dut, f"{name}__ready")
        self.restart()
        self.withheld = False

    def drive(self):
        more = self.at < len(self.beats)
        if more and not self.offering:
            self.offering = self.gate.open(False)
            self.gaps[-1] += not self.offering
        self.withheld = more and not self.offering
        state = self.at if self.offering and more else -1
        if state != self.driven:
            self.valid.value = int(state >= 0)
            if state >= 0:
                self.payload.value = self.beats[state]
            self.driven = state

    def sample(self):
        if self.offering and self.at < len(self.beats) and int(self.ready.value):
            self.at, self.offering = self.at + 1, False
            self.gaps.append(0)
            return True
        return False

    def restart(self):
        self.at, self.offering, self.driven, self.gaps = 0, False, None, [0]


class Sink:
    def __init__(self, dut, name, gate):
        self.name, self.gate = name, gate
        self.valid = getattr(dut, f"{name}__valid")
        self.payload, self.ready = getattr(dut, f"{name}__payload"), getattr(dut, f"{name}__ready")
        self.restart()
        self.withheld = False

    def drive(self):
        accept = self.gate.open(self.seen)
        self.withheld = not accept
        self.accepts.append(int(accept))
        if accept != self.accepting:
            self.ready.value = int(accept)
            self.accepting = accept

    def sample(self, broken):
        valid = int(self.valid.value)
        word = int(self.payload.value) if valid else None
        if self.held is not None and not valid:
            broken.append(f"{self.name}: valid dropped before the transfer")
        elif self.held is not None and word != self.held:
            broken.append(f"{self.name}: payload moved before the transfer")
        self.seen = bool(valid)
        self.held = word if valid and not self.accepting else None
        if valid and self.accepting:
            self.words.append(word)
            self.seen = False
            return True
        return False

    def restart(self):
        self.words, self.held, self.seen, self.accepting, self.accepts = [], None, False, None, []


class Run:
    """One run: reset, then cycles until everything came (and a quiet time after it), or the limit."""

    def __init__(self, dut, plan):
        self.dut, self.plan, self.broken = dut, plan, []
        kind, seed = plan["stall"], plan["seed"]
        self.sources = [Source(dut, n, b, Gate(plan.get("source_stall", kind), seed, n)) for n, b in plan["in"].items()]
        self.sinks = {n: Sink(dut, n, Gate(kind, seed, n)) for n in plan["out"]}
        self.first = self.last = None
        self.withheld = 0
        self.moves = {name: [] for name in (*plan["in"], *plan["out"])}

    async def edge(self):
        self.dut.clk.value = 1
        await Timer(HALF_NS, "ns")
        self.dut.clk.value = 0

    async def reset(self):
        for source in self.sources:
            source.valid.value = 0
            source.payload.value = 0
            source.restart()
        for sink in self.sinks.values():
            sink.ready.value = 0
            sink.restart()
        self.dut.rst.value = 1
        self.dut.clk.value = 0
        for _ in range(2):
            await Timer(HALF_NS, "ns")
            await self.edge()
        await Timer(HALF_NS, "ns")
        self.dut.rst.value = 0
        self.broken += [f"{n}: valid during reset" for n, sink in self.sinks.items() if int(sink.valid.value)]

    def done(self):
        full = all(len(self.sinks[n].words) >= count for n, count in self.plan["out"].items())
        return full and all(source.at == len(source.beats) for source in self.sources)

    async def cycle(self, number):
        for source in self.sources:
            source.drive()
        for sink in self.sinks.values():
            sink.drive()
        await Timer(HALF_NS, "ns")
        self.withheld += any(x.withheld for x in (*self.sources, *self.sinks.values()))
        came = [source.sample() for source in self.sources]
        went = [sink.sample(self.broken) for sink in self.sinks.values()]
        for side, moved in zip((*self.sources, *self.sinks.values()), came + went, strict=True):
            self.moves[side.name] += [number] * moved
        if any(came) and self.first is None:
            self.first = number
        if any(went):
            self.last = number
        await self.edge()
        return any(came) or any(went)

    async def play(self):
        await self.reset()
        number = 0
        if self.plan.get("reset_at"):
            for number in range(self.plan["reset_at"]):
                await self.cycle(number)
            self.first = self.last = None
            self.withheld = 0
            self.moves = {name: [] for name in self.moves}
            await self.reset()
        idle = quiet = 0
        limit, start = number + self.plan["limit"], number + 1
        while number < limit and idle < self.plan["idle"] and quiet < 8:
            number += 1
            done = self.done()
            moved = await self.cycle(number)
            idle = 0 if moved else idle + 1
            quiet = quiet + 1 if done else 0
        return {
            "out": {n: [hex(w) for w in sink.words] for n, sink in self.sinks.items()},
            "taken": {source.name: source.at for source in self.sources},
            "cycles": 0 if self.first is None or self.last is None else self.last - self.first + 1,
            "withheld": self.withheld,
            "moves": {name: [cycle - start for cycle in cycles] for name, cycles in self.moves.items()},
            "gaps": {source.name: source.gaps for source in self.sources},
            "accepts": {name: sink.accepts for name, sink in self.sinks.items()},
            "broken": self.broken[:5],
            "ended": "done" if self.done() else "idle" if idle >= self.plan["idle"] else "limit",
        }


@cocotb.test()
async def play_plan(dut):
    """Play every run of the plan and write the outcomes."""
    plan = json.loads(Path(os.environ["RTL_PLAN"]).read_text())
    outcomes = []
    for entry in plan:
        entry["in"] = {n: [int(b, 16) for b in beats] for n, beats in entry["in"].items()}
        try:
            outcomes.append(await Run(dut, entry).play())
        except ValueError as error:  # an X or Z where a number was read
            outcomes.append({"out": {}, "taken": {}, "cycles": 0, "withheld": 0, "broken": [str(error)], "ended": "x"})
    Path(os.environ["RTL_OUTCOME"]).write_text(json.dumps(outcomes))
