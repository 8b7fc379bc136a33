"""What limits Mamba on an FPGA, and where a step's time, energy and bytes go.

Run it with a folder to draw into: ``python examples/what_limits_it.py /tmp/figures``.
"""

import sys
from pathlib import Path

import hwsim
import hwsim.report

answer = hwsim.simulate("mamba", "vck190-spec")
if isinstance(answer, hwsim.Infeasible):
    raise SystemExit(str(answer))

print(f"{answer.tokens_per_s:.2f} tokens/s, limited by {answer.bound}")
for row in sorted(answer.ops, key=lambda each: -each.time_s)[:3]:
    print(f"{row.name:10} {100 * row.share:5.1f} % of a step, {row.bound}")

folder = Path(sys.argv[1] if len(sys.argv) > 1 else ".")
for name, figure in {
    "roofline": hwsim.report.draw_roofline(answer),
    "breakdown": hwsim.report.draw_breakdown(answer),
    "timeline": hwsim.report.draw_timeline(answer),
}.items():
    figure.savefig(folder / f"{name}.png")
