"""Run under NUMBA_DISABLE_JIT=1: does comparing with plain stepping catch unsound shortcuts in period skipping?

Prints a line for each shortcut: its name, and on how many of the programs below the jump then goes wrong.
"""

from __future__ import annotations

from collections.abc import Callable

import hwsim.kernels.engine_layout as at
from hwsim.kernels import engine_skip
from hwsim.schedule import Block, Deadlock, Edge, Order, Program, Schedule, Stage, after, fifo, ratio, run


def programs() -> list[Program]:
    """Long uniform stretches, each of which ends for another reason."""
    a, b = Stage.uniform("a", "u", 300, 3), Stage.uniform("b", "v", 300, 4)
    clock = Stage.uniform("clock", "w", 200, 4)
    fast, slow = Stage.uniform("fast", "u", 300, 2), Stage.uniform("slow", "v", 300, 5)
    bursty = Stage("bursty", "u", 1000, ((700, 1), (300, 40)))
    thirds = Stage.uniform("thirds", "v", 600, 8)
    cut = {"produced": 2, "consumed": 3}
    x, z = Stage.uniform("x", "u", 200, 3), Stage.uniform("z", "u", 260, 2)
    turns = (Block(100, (("x", 1), ("z", 1))), Block(1, (("x", 100), ("z", 160))))
    return [
        Program((a, b, clock), (after(a, b), fifo(a, b, 4), Edge("clock", "b", 0, 175, 1, 150))),
        Program((slow, fast, clock), (after(slow, fast), Edge("clock", "fast", 0, 199, 1))),
        Program((fast, slow), (after(fast, slow), fifo(fast, slow, 90))),
        Program((bursty, thirds), (ratio(bursty, thirds, **cut),)),
        Program((x, z), orders=(Order("u", turns),)),
        Program((Stage("a", "u", 300, ((170, 3), (130, 5))), b), (after(a, b), fifo(a, b, 2))),
    ]


def met_for_ever(*_: object) -> int:
    """A limit that never limits."""
    return at.BIG


def no_remainders(m: at.Array, old: int) -> bool:
    """Edges are alike if they are met alike, whatever their remainders."""
    rows = range(m[at.EDGES], m[at.EDGES_END], at.EDGE_WORDS)
    done = [m[e + at.PRODUCER] + at.DONE for e in rows]
    return all(
        (m[d] >= m[e + at.NEED]) == (m[old + d] >= m[old + e + at.NEED]) for d, e in zip(done, rows, strict=True)
    )


SHORTCUTS: dict[str, dict[str, Callable[..., object]]] = {
    "none": {},
    "slack may run out": {"_slack_limit": met_for_ever},
    "masks may be crossed": {"_mask_limit": met_for_ever},
    "blocks may end": {"_order_limit": met_for_ever},
    "remainders may differ": {"_alike_edges": no_remainders},
    "resources may differ": {"_alike_resources": lambda *_: True},
}


def answer(program: Program, *, skip: bool) -> Schedule | Deadlock | str:
    """The engine's answer, or the name of the error that a broken engine ends in."""
    try:
        return run(program, skip=skip)
    except (IndexError, RuntimeError, ZeroDivisionError) as error:
        return type(error).__name__


def main() -> None:
    """Plant each shortcut in turn."""
    sound = [run(program, skip=False) for program in programs()]
    for name, replaced in SHORTCUTS.items():
        kept = {function: getattr(engine_skip, function) for function in replaced}
        for function, shortcut in replaced.items():
            setattr(engine_skip, function, shortcut)
        wrong = sum(answer(p, skip=True) != right for p, right in zip(programs(), sound, strict=True))
        jumps = sum(run(p).jumps for p in programs()) if name == "none" else "-"
        print(f"{name}: {wrong} wrong, jumps {jumps}")
        for function, original in kept.items():
            setattr(engine_skip, function, original)


if __name__ == "__main__":
    main()
