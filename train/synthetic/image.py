"""`render`: a lesion on its skin, photographed."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from edge_runtime.errors import UsageError
from train.synthetic import camera, skin
from train.synthetic.lesion import draw_lesion
from train.synthetic.recipes import LABELS, draw_look

SMALLEST_SIDE = 32  # pixels; below this nothing of a lesion can be seen


def render(
    label: str, seed: int, *, view: int = 0, width: int = 200, height: int = 150
) -> NDArray[np.uint8]:
    """Draw one generated dermoscopic image; never a patient, never for accuracy claims.

    `label` is one of `LABELS`. The same `label` and `seed` (0 or more) mean the same lesion on the
    same skin, at any size; `view` (0 or more) is another photograph of it, with its own rotation,
    shift, light and hairs. The same arguments give the same bytes on every run.

    Returns RGB, (height, width, 3) uint8. Raises UsageError on an unknown label, a negative seed
    or view, or a side under `SMALLEST_SIDE` pixels.
    """
    if label not in LABELS:
        raise UsageError(f"unknown label {label!r}: expected one of {', '.join(LABELS)}.")
    if seed < 0 or view < 0:
        raise UsageError(f"seed is {seed} and view is {view}: both have to be 0 or more.")
    if min(width, height) < SMALLEST_SIDE:
        raise UsageError(
            f"an image of {width}x{height} pixels is too small: "
            f"width and height have to be at least {SMALLEST_SIDE}."
        )
    identity = (LABELS.index(label), seed)
    skin_rng, lesion_rng = _stream(identity, 0), _stream(identity, 1)
    camera_rng = _stream(identity, 2, view)

    frame = camera.place(camera_rng, height, width)
    tone = skin.draw_tone(skin_rng)
    absorbers = skin.absorbers(frame, tone, skin_rng)
    lesion = draw_lesion(frame, draw_look(label, lesion_rng), lesion_rng)
    rows, columns = lesion.window.slices
    absorbers[:, rows, columns] += lesion.absorbers
    rgb = skin.colour(absorbers)
    for haze in lesion.haze:
        skin.cover(rgb[:, rows, columns], haze)
    camera.add_artefacts(rgb, camera_rng)
    camera.expose(rgb, skin.brightness(tone), camera_rng)
    rgb *= 255
    rgb += 0.5
    np.clip(rgb, 0, 255, out=rgb)
    return np.ascontiguousarray(rgb.astype(np.uint8).transpose(1, 2, 0))


def _stream(identity: tuple[int, int], *key: int) -> np.random.Generator:
    """One of the independent random streams of a lesion."""
    return np.random.default_rng(np.random.SeedSequence(identity, spawn_key=key))
