"""Generated dermoscopy-like images: for demonstrations and tests, never for accuracy claims.

- `recipes`: what each diagnosis looks like, in one table of distributions
- `fields`: the drawing kit: smooth random fields, dots and strokes
- `skin`: the skin around a lesion, and how pigment and blood turn into colour
- `outline`, `lesion`, `structures`: one lesion, from its border to its vessels
- `camera`: one photograph: light, hairs, ruler, gel bubbles, dermatoscope, sensor
- `image`: `render`, which puts these together
- `dataset`: `write_dataset`, a folder of images with labels and a split by lesion
"""

from __future__ import annotations

from train.synthetic.dataset import DEFAULT_LESIONS, write_dataset
from train.synthetic.image import render
from train.synthetic.recipes import LABELS

__all__ = ["DEFAULT_LESIONS", "LABELS", "render", "write_dataset"]
