"""What a larger batch costs each user and gives all of them, and what a longer context does, on two GPUs.

Run it with a folder to draw into: ``python examples/latency_and_throughput.py /tmp/figures``.
"""

import sys
from pathlib import Path

import hwsim
import hwsim.report

folder = Path(sys.argv[1] if len(sys.argv) > 1 else ".")
batches = [1, 4, 16, 64]
answers = [
    answer
    for device in ("h100-sxm", "rtx-4090")
    for answer in hwsim.simulate_each("llama-3-8b", device, batches, over="batch")
]
for answer in answers:
    print(f"{answer.device:9} batch {answer.batch:3}: {answer.tokens_per_s:7.0f} tokens/s in all")
hwsim.report.draw_latency_throughput(*answers).savefig(folder / "latency-throughput.png")

longer = hwsim.simulate_each("llama-3-8b", "h100-sxm", [128, 1024, 8192], over="context", batch=16)
hwsim.report.draw_context_roofline(*longer).savefig(folder / "context-roofline.png")
