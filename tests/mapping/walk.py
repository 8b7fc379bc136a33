"""A second account, by walking: runs every iteration of a small nest in lockstep lanes and watches tiles change.

Shares no arithmetic with `hwsim.mapping.account`: it moves boxes about, counts what enters and leaves each buffer, and
remembers which partial sums each instance holds.
"""

from collections import Counter
from itertools import product
from math import prod

from hwsim.mapping.nest import For, Hold, Spread


class Walk:
    """Counts of one walk: (level, operand, 'r'|'w', instance) -> words, and the steps of the multipliers."""

    def __init__(self, problem, hierarchy, nest):
        self.problem, self.hierarchy, self.nest = problem, hierarchy, nest
        self.words, self.tiles, self.valid, self.steps = Counter(), {}, set(), 0
        self.rounds = {}
        self.chain = {name: [level for level, _ in chain] for name, chain in nest.holds(problem, hierarchy).items()}
        spreads = [step for step in nest.steps if isinstance(step, Spread)]
        self.lanes_above = {
            level: sum(hierarchy.fanout_of(s.axis) < hierarchy.fanouts_above(level) for s in spreads)
            for level in range(len(hierarchy.levels))
        }
        self.lanes = {
            at: -(-tile[step.dim] // step.tile)
            for at, (step, tile) in enumerate(nest.tiles(problem))
            if isinstance(step, Spread)
        }
        self.visit(0, {(): {dim: (0, extent) for dim, extent in problem.dims}})
        self.close()

    def total(self, level, operand, kind):
        return sum(n for (lv, op, k, _), n in self.words.items() if (lv, op, k) == (level, operand, kind))

    def peak(self, level, operand, kind):
        return max((n for (lv, op, k, _), n in self.words.items() if (lv, op, k) == (level, operand, kind)), default=0)

    def visit(self, at, lanes):
        if at == len(self.nest.steps):
            self.compute(lanes)
            return
        step = self.nest.steps[at]
        if isinstance(step, Hold):
            self.hold(at, step, lanes)
            self.visit(at + 1, lanes)
        elif isinstance(step, Spread):
            spread = {}
            for lane, box in lanes.items():
                share = self.lane_step(at, box)
                spread |= {(*lane, i): cut(box, share, i) for i in range(trips(box, share))}
            self.visit(at + 1, spread)
        else:
            assert isinstance(step, For)
            for i in range(max(trips(box, step) for box in lanes.values())):
                self.rounds[at] = i
                self.visit(at + 1, {lane: cut(box, step, i) for lane, box in lanes.items() if i < trips(box, step)})

    def lane_step(self, at, box):
        step = self.nest.steps[at]
        low, high = box[step.dim]
        return Spread(step.axis, step.dim, -(-(high - low) // self.lanes[at]))

    def hold(self, at, step, lanes):
        operand = self.problem.operand(step.operand)
        arrivals = {}
        for lane, box in lanes.items():
            rounds = tuple(i for loop, i in sorted(self.rounds.items()) if loop < at)
            key = (rounds, tuple(box[dim] for dim, _ in self.problem.dims if dim in operand.dims))
            old = self.tiles.get((at, lane))
            if old is None or old[0] != key:
                arrivals[lane] = (key, old)
                self.tiles[at, lane] = (key, dict(box))
        level = self.hierarchy.level_index(step.level)
        upper = self.chain[step.operand][self.chain[step.operand].index(level) - 1]
        if operand.role == "output":
            self.empty_inside(at, step, arrivals)
            self.drain(operand, level, upper, {lane: old for lane, (_, old) in arrivals.items() if old})
        self.fill(operand, level, upper, {lane: self.tiles[at, lane] for lane in arrivals})

    def empty_inside(self, at, step, lanes):
        """Before an output tile leaves, what deeper levels hold of it comes up, the innermost first."""
        for deeper in range(len(self.nest.steps) - 1, at, -1):
            inner = self.nest.steps[deeper]
            if not isinstance(inner, Hold) or inner.operand != step.operand:
                continue
            own = [key for key in self.tiles if key[0] == deeper and any(key[1][: len(lane)] == lane for lane in lanes)]
            self.drain_all(inner, {key[1]: self.tiles.pop(key) for key in own})

    def drain_all(self, step, tiles):
        """Drain tiles of one hold into the operand's next level out."""
        level = self.hierarchy.level_index(step.level)
        upper = self.chain[step.operand][self.chain[step.operand].index(level) - 1]
        self.drain(self.problem.operand(step.operand), level, upper, tiles)

    def groups(self, upper, tiles):
        """Lanes with the same tile under the same instance of the level above, lowest lane first."""
        found = {}
        for lane, (key, box) in sorted(tiles.items()):
            found.setdefault((lane[: self.lanes_above[upper]], key), []).append((lane, box))
        return found

    def fill(self, operand, level, upper, tiles):
        if operand.role != "output":
            self.multicast(operand, level, upper, tiles)
            return
        for (instance, _), group in self.groups(upper, tiles).items():
            points, lane, words = elements(operand, group[0][1]), group[0][0], volume(operand, group[0][1])
            if (upper, instance, points[0]) not in self.valid:
                continue
            self.valid |= {(level, lane[: self.lanes_above[level]], point) for point in points}
            self.words[upper, operand.name, "r", instance] += words
            self.words[level, operand.name, "w", lane[: self.lanes_above[level]]] += words

    def multicast(self, operand, level, upper, tiles):
        """Tiles that arrive together: every word of theirs is read once per instance above, and fills each lane."""
        read = {}
        for lane, (_, box) in tiles.items():
            read.setdefault(lane[: self.lanes_above[upper]], set()).update(window(operand, box))
            self.words[level, operand.name, "w", lane[: self.lanes_above[level]]] += volume(operand, box)
        for instance, points in read.items():
            self.words[upper, operand.name, "r", instance] += len(points)

    def drain(self, operand, level, upper, tiles):
        for (instance, _), members in self.groups(upper, tiles).items():
            self.words[upper, operand.name, "w", instance] += volume(operand, members[0][1])
            for lane, box in members:
                below = lane[: self.lanes_above[level]]
                self.words[level, operand.name, "r", below] += volume(operand, box)
                self.valid -= {(level, below, point) for point in elements(operand, box)}
            self.valid |= {(upper, instance, point) for point in elements(operand, members[0][1])}

    def close(self):
        """The last tiles of the output leave, the innermost level's first."""
        for at in range(len(self.nest.steps) - 1, -1, -1):
            step = self.nest.steps[at]
            if isinstance(step, Hold) and self.problem.operand(step.operand).role == "output":
                self.drain_all(step, {lane: tile for (a, lane), tile in self.tiles.items() if a == at})

    def compute(self, lanes):
        """One multiply-accumulate per lane and step, until the longest lane is done."""
        spans = {lane: [range(*box[dim]) for dim, _ in self.problem.dims] for lane, box in lanes.items()}
        longest = [max(len(span[i]) for span in spans.values()) for i in range(len(self.problem.dims))]
        for offset in product(*map(range, longest)):
            self.steps += 1
            points = {
                lane: {dim: span[i][offset[i]] for i, (dim, _) in enumerate(self.problem.dims)}
                for lane, span in spans.items()
                if all(offset[i] < len(span[i]) for i in range(len(offset)))
            }
            for operand in self.problem.operands:
                self.access(operand, points)

    def access(self, operand, points):
        level = self.chain[operand.name][-1]
        above = self.lanes_above[level]
        seen = {(lane[:above], tuple((d, p[d]) for d in p if d in operand.dims)) for lane, p in points.items()}
        if operand.role != "output":
            for instance, _ in {(instance, datum(operand, dict(point))) for instance, point in seen}:
                self.words[level, operand.name, "r", instance] += 1
            return
        for instance, point in seen:
            element = (level, instance, tuple(dict(point)[axis[0][0]] for axis in operand.axes))
            self.words[level, operand.name, "w", instance] += 1
            self.words[level, operand.name, "r", instance] += element in self.valid
            self.valid.add(element)


def trips(box, step):
    low, high = box[step.dim]
    return -(-(high - low) // step.tile)


def cut(box, step, i):
    low, high = box[step.dim]
    return {**box, step.dim: (low + i * step.tile, min(high, low + (i + 1) * step.tile))}


def volume(operand, box):
    return prod(1 + sum(stride * (box[dim][1] - box[dim][0] - 1) for dim, stride in axis) for axis in operand.axes)


def elements(operand, box):
    return list(product(*(range(*box[axis[0][0]]) for axis in operand.axes)))


def datum(operand, point):
    """The word that an iteration uses."""
    return tuple(sum(stride * point[dim] for dim, stride in axis) for axis in operand.axes)


def window(operand, box):
    """Every word of a tile: the bounding box of each axis."""
    ends = [[(stride * box[dim][0], stride * (box[dim][1] - 1)) for dim, stride in axis] for axis in operand.axes]
    return product(*(range(sum(a for a, _ in axis), sum(b for _, b in axis) + 1) for axis in ends))
