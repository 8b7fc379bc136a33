"""Two independent engines for the tests, and random programs to hold them against the real one.

`step_cycles` walks through time one cycle at a time, straight from the definitions in `hwsim.schedule.program`.
`simulate_simpy` writes the same program as SimPy processes, for static orders.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise

import simpy
from hypothesis import strategies as st

from hwsim.schedule import Block, Edge, Order, Program, Stage, after, fifo


@dataclass
class Outcome:
    """What a reference found: slices (resource, stage, tile, start, end), waits, and whether all tiles ran."""

    slices: list[tuple[str, str, int, int, int]]
    waits: dict[str, int]
    finished: bool
    at_cycle: int

    @property
    def makespan(self) -> int:
        return max((end for *_, end in self.slices), default=0)


def durations_of(stage: Stage) -> list[int]:
    return [cycles for count, cycles in stage.durations for _ in range(count)]


def service_of(program: Program, resource: str) -> list[str]:
    """Stage names in the order in which a static resource serves their tiles, over all repetitions."""
    given = [order for order in program.orders if order.resource == resource]
    if given:
        segments = [segment for block in given[0].blocks for _ in range(block.times) for segment in block.segments]
    else:
        segments = [(stage.name, stage.tiles) for stage in program.stages_on(resource)]
    return [name for name, count in segments for _ in range(count)] * program.reps


def needs_of(program: Program, stage: Stage, tile: int) -> list[tuple[str, int]]:
    """(producer, tiles it must have finished) for one tile, by the definition of an edge."""
    rep, pos = divmod(tile, stage.tiles)
    needs = []
    for edge in program.edges:
        if edge.consumer == stage.name and edge.lo <= pos < (stage.tiles if edge.hi is None else edge.hi):
            tiles = program.stage(edge.producer).tiles
            needs.append((edge.producer, rep * tiles + (edge.a * pos + edge.b) // edge.c + 1))
    return needs


class CycleStepper:
    """A program and where it stands at cycle ``now``."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self.stages = list(program.stages)
        self.index = {stage.name: i for i, stage in enumerate(self.stages)}
        self.started, self.done = [0] * len(self.stages), [0] * len(self.stages)
        self.ready: list[int | None] = [None] * len(self.stages)
        self.waits = {stage.name: 0 for stage in self.stages}
        self.serving: dict[str, tuple[int, int] | None] = dict.fromkeys(program.resources)
        static = set(program.resources) - program.arbitrated
        self.queue = {name: service_of(program, name) for name in static}
        self.slices: list[tuple[str, str, int, int, int]] = []
        self.now = 0

    def finish(self) -> None:
        for resource, task in self.serving.items():
            if task is not None and task[1] == self.now:
                self.done[task[0]] += 1
                self.serving[resource] = None

    def mark_readiness(self) -> None:
        for s, stage in enumerate(self.stages):
            idle = self.started[s] == self.done[s] < stage.tiles * self.program.reps
            if idle and self.ready[s] is None:
                needs = needs_of(self.program, stage, self.started[s])
                if all(self.done[self.index[producer]] >= need for producer, need in needs):
                    self.ready[s] = self.now

    def choose(self, resource: str) -> int | None:
        if resource in self.program.arbitrated:
            here = [s for s, t in enumerate(self.stages) if t.resource == resource and self.ready[s] is not None]
            return min(here, key=lambda s: (self.ready[s], self.stages[s].priority, s), default=None)
        head = self.index[self.queue[resource][0]] if self.queue[resource] else None
        return head if head is not None and self.ready[head] is not None else None

    def grant(self, resource: str) -> None:
        chosen = self.choose(resource)
        if chosen is None:
            return
        stage = self.stages[chosen]
        end = self.now + durations_of(stage)[self.started[chosen] % stage.tiles]
        self.slices.append((resource, stage.name, self.started[chosen], self.now, end))
        self.waits[stage.name] += self.now - self.ready[chosen]
        self.ready[chosen] = None
        self.started[chosen] += 1
        self.serving[resource] = (chosen, end)
        if resource in self.queue:
            self.queue[resource].pop(0)

    def outcome(self) -> Outcome:
        finished = all(s.tiles * self.program.reps == d for s, d in zip(self.stages, self.done, strict=True))
        return Outcome(self.slices, self.waits, finished, self.now)


def step_cycles(program: Program) -> Outcome:
    """Run ``program`` cycle by cycle: finish, mark readiness, grant."""
    stepper = CycleStepper(program)
    while True:
        stepper.finish()
        stepper.mark_readiness()
        for resource, task in stepper.serving.items():
            if task is None:
                stepper.grant(resource)
        if not any(stepper.serving.values()):
            return stepper.outcome()
        stepper.now += 1


def simulate_simpy(program: Program) -> Outcome:
    """Run a statically served ``program`` as SimPy processes, one per resource, woken by counters of finished tiles."""
    env = simpy.Environment()
    done = {stage.name: 0 for stage in program.stages}
    finish: dict[str, list[int]] = {stage.name: [] for stage in program.stages}
    waiting: dict[tuple[str, int], simpy.Event] = {}
    slices: list[tuple[str, str, int, int, int]] = []
    waits = dict.fromkeys(done, 0)
    unfinished = set(program.resources)

    def finished(producer: str, need: int) -> simpy.Event:
        return waiting.setdefault((producer, need), env.event())

    def serve(resource: str):
        started = {stage.name: 0 for stage in program.stages_on(resource)}
        for name in service_of(program, resource):
            stage, tile = program.stage(name), started[name]
            needs = needs_of(program, stage, tile)
            for producer, need in needs:
                if done[producer] < need:
                    yield finished(producer, need)
            ready = max([finish[name][-1] if tile else 0, *(finish[u][n - 1] for u, n in needs if n > 0)])
            start = env.now
            yield env.timeout(durations_of(stage)[tile % stage.tiles])
            waits[name] += start - ready
            started[name] += 1
            done[name] += 1
            finish[name].append(env.now)
            slices.append((resource, name, tile, start, env.now))
            if (name, done[name]) in waiting:
                waiting.pop((name, done[name])).succeed()
        unfinished.discard(resource)

    for resource in program.resources:
        env.process(serve(resource))
    env.run()
    return Outcome(slices, waits, not unfinished, env.now)


# -- random programs -------------------------------------------------------------------------------------------------


@st.composite
def runs(draw: st.DrawFn, tiles: int, longest: int) -> tuple[tuple[int, int], ...]:
    """Durations of ``tiles`` tiles in at most three runs."""
    cuts = sorted(draw(st.lists(st.integers(1, tiles), max_size=2)))
    marks = [0, *dict.fromkeys(cut for cut in cuts if cut < tiles), tiles]
    return tuple((hi - lo, draw(st.integers(1, longest))) for lo, hi in pairwise(marks))


@st.composite
def forward_edges(draw: st.DrawFn, producer: Stage, consumer: Stage, tight: bool) -> list[Edge]:
    """A forward edge of some form, masked or not, and perhaps the buffer behind it."""
    n_u, n = producer.tiles, consumer.tiles
    kind = draw(st.sampled_from(["ratio", "ratio", "ratio", "barrier", "previous", "shift"]))
    lo = draw(st.sampled_from([0, 0, 0, draw(st.integers(0, n))]))
    hi = draw(st.sampled_from([None, None, None, draw(st.integers(lo, n))]))
    if kind == "barrier":
        return [Edge(producer.name, consumer.name, 0, n_u - 1, 1, lo, hi)]
    if kind == "previous":
        return [Edge(producer.name, consumer.name, 0, -1 - draw(st.integers(0, 2)), 1, lo, hi)]
    if kind == "shift":
        return [Edge(producer.name, consumer.name, n_u, -draw(st.integers(0, 3 * n)), n, lo, hi)]
    edges = [Edge(producer.name, consumer.name, n_u, n_u - 1, n, lo, hi)]
    if tight or draw(st.booleans()):
        units = draw(st.integers(1, max(n, n_u))) if tight else draw(st.integers(1, 6)) * max(n, n_u) // 2 + 1
        units *= 1 if tight else draw(st.sampled_from([1, 1, 30]))
        edges.append(Edge(consumer.name, producer.name, n, n - 1 - units, n_u))
    return edges


@st.composite
def orders(draw: st.DrawFn, resource: str, stages: list[Stage]) -> Order:
    """An explicit order: two stages of equal tiles alternate, others are cut into segments and mixed."""
    if len(stages) == 2 and stages[0].tiles == stages[1].tiles and draw(st.booleans()):
        return Order(resource, (Block(stages[0].tiles, tuple((stage.name, 1) for stage in stages)),))
    left = {stage.name: stage.tiles for stage in stages}
    segments = []
    while left:
        name = draw(st.sampled_from(sorted(left)))
        count = draw(st.integers(1, left[name]))
        segments.append((name, count))
        left[name] -= count
        left = {name: count for name, count in left.items() if count}
    return Order(resource, (Block(1, tuple(segments)),))


@st.composite
def programs(
    draw: st.DrawFn, *, tiles: int = 5, reps: int = 3, longest: int = 4, arbitrate: bool = False, tight: bool = False
) -> Program:
    """Chains, forks and joins of up to five stages with rates, masks, barriers, buffers and shared resources.

    Some deadlock, many where buffers are ``tight``; they are kept.
    """
    count = draw(st.integers(1, 5))
    names = [f"s{i}" for i in range(count)]
    on = [f"r{draw(st.integers(0, i))}" for i in range(count)]
    sizes = [draw(st.integers(1, tiles)) for _ in names]
    if draw(st.booleans()):
        sizes = [sizes[0]] * count
    stages = tuple(
        Stage(name, resource, n, draw(runs(n, longest)), priority=draw(st.integers(0, 1)))
        for name, resource, n in zip(names, on, sizes, strict=True)
    )
    edges: list[Edge] = []
    for i in range(1, count):
        for j in draw(st.sets(st.integers(0, i - 1), max_size=2)):
            edges += draw(forward_edges(stages[j], stages[i], tight))
    repeated = draw(st.sampled_from([1, reps, draw(st.integers(1, reps))]))
    program = Program(stages, tuple(draw(st.permutations(edges))), repeated)
    if arbitrate:
        return replace(program, arbitrated=frozenset(draw(st.sets(st.sampled_from(program.resources), min_size=1))))
    ordered = [r for r in program.resources if len(list(program.stages_on(r))) > 1 and draw(st.booleans())]
    return replace(program, orders=tuple(draw(orders(r, list(program.stages_on(r)))) for r in ordered))


@st.composite
def drifting(draw: st.DrawFn) -> Program:
    """Two units of nearly equal speed behind a deep buffer, each fast, then slow: slacks drain and recover.

    Repetition by repetition the buffer fills or empties a little, so jumps of both detectors end where it is full or
    empty. What happens then is otherwise soon made up for: a clock that runs as the first unit would, and two readers
    that take turns, show in their waits when it happened.
    """
    tens, cycles = st.integers(1, 12).map(lambda n: 10 * n), st.integers(1, 8)
    runs_u = ((draw(tens), draw(cycles)), (draw(tens), draw(cycles)))
    tiles = runs_u[0][0] + runs_u[1][0]
    runs_v = draw(st.sampled_from([((tiles, draw(cycles)),), tuple((n, draw(cycles)) for n, _ in runs_u)]))
    u, v, clock = Stage("u", "u", tiles, runs_u), Stage("v", "v", tiles, runs_v), Stage("clock", "clock", tiles, runs_u)
    w, x = Stage.uniform("w", "reader", tiles, 1), Stage.uniform("x", "reader", tiles, 1)
    depth = tiles * draw(st.integers(1, 20)) + draw(st.integers(0, tiles))
    edges = (after(u, v), fifo(u, v, depth), after(u, w), after(clock, x))
    turns = (Order("reader", (Block(tiles, (("w", 1), ("x", 1))),)),)
    return Program((u, v, clock, w, x), edges, draw(st.integers(20, 200)), turns)
