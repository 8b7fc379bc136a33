"""Toggle and line coverage of a run: read from Icarus's VCD, or from the counts that Verilator writes."""

import re
from collections import defaultdict
from dataclasses import dataclass


@dataclass
class Covered:
    """Of how many things how many were seen; toggles are directions: a bit that rose and fell counts two."""

    seen: int
    total: int

    @property
    def share(self):
        return self.seen / self.total if self.total else 1.0

    def __str__(self):
        return f"{self.seen:,} of {self.total:,} ({100 * self.share:.1f} %)"


def toggles_of_vcd(path):
    """Rises and falls of every bit of every net; a net with several names counts once.

    Reads the form that Icarus writes, line by line: a reader of every form takes six times as long.
    """
    bits, before = {}, {}
    rose, fell = defaultdict(int), defaultdict(int)
    with path.open(encoding="ascii") as file:
        for line in file:
            if line.startswith("$enddefinitions"):
                break
            if line.startswith("$var "):
                _, _, size, code, name, *_ = line.split()
                if name not in ("clk", "rst"):
                    bits[code] = int(size)
        for line in file:
            first = line[0]
            if first == "b":
                value, code = line[1:].split()
            elif first in "01xz":
                value, code = first, line[1:-1]
            else:
                continue
            if code in bits:
                note(code, value, before, rose, fell)
    seen = sum(rose[code].bit_count() + fell[code].bit_count() for code in bits)
    return Covered(seen, 2 * sum(bits.values()))


def note(code, value, before, rose, fell):
    """Count a change; what is not yet 0 or 1 has no direction."""
    if "x" in value or "z" in value:
        before.pop(code, None)
        return
    now = int(value, 2)
    old = before.get(code)
    if old is not None:
        rose[code] |= now & ~old
        fell[code] |= old & ~now
    before[code] = now


POINT = re.compile(r"^C '(.*)' (\d+)$")


def counts_of_verilator(path):
    """(lines, toggles) of a coverage.dat: a point for each line or direction, with how often it was passed."""
    points = defaultdict(lambda: defaultdict(int))
    for row in path.read_text(errors="replace").splitlines():
        if found := POINT.match(row):
            fields = dict(part.split("\x02", 1) for part in found[1].split("\x01") if "\x02" in part)
            kind = fields.get("page", "").split("/")[0].removeprefix("v_")
            points[kind][tuple(sorted(fields.items()))] += int(found[2])
    return tuple(Covered(sum(n > 0 for n in points[k].values()), len(points[k])) for k in ("line", "toggle"))
