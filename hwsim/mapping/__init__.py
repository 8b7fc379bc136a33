"""The optimal mapper: loop nests on memory hierarchies, what they cost, and the best one with a certificate.

Reading order: `problem` (the op), `hierarchy` (the machine), `nest` (a mapping), `check` (is it legal), `account` (what
it costs, by definition), `space` (every nest that needs a look), `search` (the best, and the proof).
"""
