"""Every constant that shapes the audit's answer, and how it was chosen.

"Measured" means `python -m train.audit.measure` on HAM10000: known transforms of 500 pictures
against pictures of other lesions and against other photographs of the same lesion. The table is in
``docs/audit.md``.
"""

from __future__ import annotations

from dataclasses import dataclass

# ------------------------------------------------------------------ what is kept of a picture

THUMBNAIL = 96
"""Side of the kept thumbnail, in pixels: the whole frame, squashed to a square. Copies are often
saved at 100 to 200 pixels, so more would compare what the copy no longer has."""

SKETCH = 48
"""Side of the smaller thumbnail that candidates are found with."""

# ------------------------------------------------------------------ candidates (`polar`)

RINGS, ANGLES, FREQUENCIES = 8, 32, 10
"""Polar samples of a disc. Angles of 11.25 degrees are closer together than the details of the
sketch at most radii; the first ten angular frequencies hold what JPEG and resizing leave."""

CROP_SCALES = {1.0: (0.0,), 0.86: (-0.065, 0.0, 0.065), 0.73: (-0.14, -0.07, 0.0, 0.07, 0.14)}
"""Where a cropped copy can lie in its original: side of the crop, and offsets of its centre along
each axis, both as shares of the frame. Covers crops of 70% of the side and more with steps of about
0.07; a coarser grid lost a tenth of the off-centre crops."""

STRETCHES = (4 / 3, 3 / 4)
STRETCHED_SCALES = (1.0, 0.8)
"""Frames of 4:3 that were squashed to squares, as data sets for CNNs often are, or the reverse;
looked for in the centre only."""

COMPONENTS = 96
"""Length of a descriptor after principal component analysis."""

NEIGHBOURS = 20
"""Candidates kept for each picture. Measured: 0.97 to 0.99 of the hardest copies are among the
first 20 of 2,500 pictures."""

STARTS = 2
"""Positions tried for each candidate."""

# ------------------------------------------------------------------ confirmation (`alignment`)

COARSE_MINIMUM = 0.65
"""Polar correlation below which a candidate is dropped. Measured on the hardest transforms: 0.987
of the copies have more, half of the other candidates less."""

BLURS = (3.0, 0.7)
"""Standard deviations, in thumbnail pixels, of the smooth and the sharp layer: the first forgives a
start that is off by several pixels."""


@dataclass(frozen=True)
class Stage:
    """Some refining steps, and who may go on after them.

    Attributes:
        sharp: on the sharp layer, else on the smooth one.
        points: grid points across the disc.
        steps: Gauss-Newton steps.
        correlation, detail: of brightness and of detail, that a pair needs to go on.
    """

    sharp: bool
    points: int
    steps: int
    correlation: float
    detail: float = -1.0


STAGES = (Stage(False, 14, 4, 0.92), Stage(False, 18, 4, 0.94, 0.33), Stage(True, 36, 4, 0.90))
"""Coarse to fine. Measured on the hardest transforms: before the sharp stage, 0.98 of the copies
have a detail correlation above 0.37, three quarters of the other pairs less than 0.26."""

SMALLEST_OVERLAP = 0.60
"""Share of the copy's disc that has to lie inside the other picture."""

CORE = 0.9
"""Share of the disc's radius that is aligned and judged. The black corners that turning leaves
touch the disc and spill over into its rim: with the whole disc, only 0.78 of the turned copies were
confirmed, with nine tenths of it all of them."""

SCALE_RANGE = (0.5, 1.6)
"""An alignment that enlarges or shrinks by more than this has slipped off: crops of 70% and more
give 0.7 to 1.43."""

LARGEST_STRETCH = 1.6
"""Longest over shortest axis. A squashed 3:2 frame gives 1.5; stretching more lets any two ovals
coincide."""

DETAIL_BLUR, DETAIL_NEIGHBOURHOOD, DETAIL_NOISE = 2.5, 4.0, 2.0
"""Detail is what a blur of 2.5 thumbnail pixels leaves over, divided by its root mean square within
4 pixels (plus 2 grey levels, so that JPEG noise on plain skin stays small): hairs, dots, bubbles
and pigment network. Without the division the dark edge that all lesions have decides: 0.999 of
other lesions then stay under 0.73 where 0.90 of the hardest copies are above 0.76; with it, under
0.56 and above 0.88."""

SAME_CORRELATION, SAME_DETAIL = 0.90, 0.74
"""Correlation of brightness and of detail from which two pictures are the same one. Measured: 0.98
of the hardest copies have more than 0.79 of detail; among the neighbours of 1,200 pictures, no two
different lesions had more than 0.69."""

SAME_DETAIL_IN_LESION = 0.90
"""The same where both carry one lesion id: two photographs of one lesion from one position are
then the likelier explanation, so a copy needs better evidence."""

# ------------------------------------------------------------------ what counts as odd

TINY_SIDE = 64
"""Pixels; half the smallest input size that is in common use (128)."""

LONGEST_ASPECT = 2.5
"""Longer over shorter side. Dermatoscope images are 4:3 or 3:2; strips are crops gone wrong."""

# ------------------------------------------------------------------ shortcuts

FOLDS, FEWEST_PER_FOLD = 5, 6
"""Parts of the cross-validation, and lesions or pictures of either kind that each needs."""

TREES, LEAVES, SMALLEST_LEAF, RESAMPLES = 40, 100, 10, 100
"""Trees of the random forest; at most so many leaves a tree, and no fewer images in one, so that
it cannot learn images by heart; and resamples of the bootstrap over groups."""

SHORTCUT_AUC = 0.53
"""A shortcut is named where the lower end of the interval is above this. Chance is 0.50; corners
and file size also tell a little about the lesion itself."""
