"""Independent pieces of work (tuning trials, folds), on this machine or on a Ray cluster.

A piece is a frozen, picklable dataclass with a ``name``; a plain, importable function answers it.
`train.pieces.pool.run_pieces` runs the function over the pieces and does a piece whose worker died
again. No scheduler is written here: processes of the standard library do the work on one machine
(`train.pieces.local`), Ray does it on several (`train.pieces.cluster`).
"""
