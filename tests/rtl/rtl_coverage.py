"""Toggle and line coverage of a run: read from Icarus's VCD, or from the counts that Verilator writes."""

import re
from collections import defaultdict
from dataclasses import dataclass

from vcd.reader import TokenKind, tokenize


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
    """Rises and falls of every bit of every net; a net with several names counts once."""
    bits, before = {}, {}
    rose, fell = defaultdict(int), defaultdict(int)
    with path.open("rb") as file:
        for token in tokenize(file):
            if token.kind is TokenKind.VAR and token.var.reference not in ("clk", "rst"):
                bits[token.var.id_code] = token.var.size
            elif token.kind is TokenKind.CHANGE_SCALAR:
                note(token.scalar_change, bits, before, rose, fell)
            elif token.kind is TokenKind.CHANGE_VECTOR:
                note(token.vector_change, bits, before, rose, fell)
    seen = sum(rose[code].bit_count() + fell[code].bit_count() for code in bits)
    return Covered(seen, 2 * sum(bits.values()))


def note(change, bits, before, rose, fell):
    """Count a change; what is not yet 0 or 1 has no direction."""
    code, value = change.id_code, change.value
    if code not in bits:
        return
    if isinstance(value, str):
        if set(value) - {"0", "1"}:
            before.pop(code, None)
            return
        value = int(value, 2)
    old = before.get(code)
    if old is not None:
        rose[code] |= value & ~old
        fell[code] |= old & ~value
    before[code] = value


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
