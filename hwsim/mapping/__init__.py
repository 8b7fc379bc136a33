"""The optimal mapper: loop nests on memory hierarchies, what they cost, and the best one with a certificate.

Reading order: `problem` (the op), `hierarchy` (the machine), `nest` (a mapping), `check` (is it legal), `account` (what
it costs, by definition), `certificate` (what an answer is worth), `lattice`, `tables` and `family` (every nest that
needs a look, as the kernels take them), `search` (the best in ``ideal`` mode, and the proof), `pipelined` and `closing`
(the same with fill and stalls), `mapper`.
"""
