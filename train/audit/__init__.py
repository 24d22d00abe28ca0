"""The audit of labelled images: what is wrong with them, before anyone trains on them.

- `sources`: data sets as they are, faults included
- `pictures`: what is read from every file
- `polar`, `neighbours`: candidates for "the same picture", whichever way it was turned or cropped
- `layers`, `alignment`: one picture laid over another, and how alike they then are
- `copies`: these four together
- `findings`: groups, label conflicts, split leaks, overlap of data sets
- `shortcuts`: what can be told without looking at the lesion
- `auditing`: all of it, and the JSON; `text` and `sheet` show it to people; `fixing` puts it right
- `settings`: every constant that shapes an answer, and how it was chosen
- `measure`, `transforms`: how many known copies are found, and how many false ones
"""

from __future__ import annotations

from train.audit.auditing import Audit, audit, to_json

__all__ = ["Audit", "audit", "to_json"]
