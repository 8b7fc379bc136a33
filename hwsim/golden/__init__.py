"""Reference arithmetic in NumPy: what the hardware must compute. No timing, no numba.

:mod:`.ssm` selective state updates and scans; :mod:`.mamba` whole blocks and models; :mod:`.speculative` tree
verification and backtracking; :mod:`.generate` greedy decoding, plain and speculative; :mod:`.linear` integer
matrix products; :mod:`.sparse` bitmap-sparse weights and the tile products of AMX;
:mod:`.optics4f`, :mod:`.optics_propagation` and :mod:`.optics_tiling` optical convolutions.
"""
