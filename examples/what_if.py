"""What if the memory were faster: one constant of a machine at several values, and several machines side by side.

Run it with a folder to draw into: ``python examples/what_if.py /tmp/figures``.
"""

import sys
from pathlib import Path

import hwsim
import hwsim.report

folder = Path(sys.argv[1] if len(sys.argv) > 1 else ".")
for bandwidth in ("10 GB/s", "20 GB/s", "40 GB/s", "80 GB/s"):
    answer = hwsim.simulate("mamba", "vck190-spec", settings={"device.memory.bandwidth": bandwidth})
    if isinstance(answer, hwsim.Result):
        print(f"{bandwidth}: {answer.tokens_per_s:.1f} tokens/s, limited by {answer.bound}")

machines = [hwsim.simulate("mamba", name) for name in ("vck190", "vck190-spec", "vhk158-spec", "h100-sxm")]
results = [each for each in machines if isinstance(each, hwsim.Result)]
hwsim.report.draw_compare(*results).savefig(folder / "compare.png")
hwsim.report.draw_roofline(*results, together=True).savefig(folder / "roofline-together.png")
