"""A client that knows nothing of dermedge: MediaPipe Tasks' ImageClassifier reads the file alone.

Run by the Python of an environment that holds mediapipe and nothing of dermedge:

    python mediapipe_client.py SQUARES.npy MODEL.tflite

SQUARES holds uint8 of shape (n, size, size, 3), RGB. Prints one JSON object an image, in order:
`category` (the most probable one's name), `display_name`, and `scores` by category name.
"""

from __future__ import annotations

import json
import sys

import mediapipe
import numpy as np
from mediapipe.tasks.python import BaseOptions, vision


def main(squares: str, model: str) -> None:
    options = vision.ImageClassifierOptions(
        base_options=BaseOptions(model_asset_path=model), display_names_locale="en"
    )
    with vision.ImageClassifier.create_from_options(options) as classifier:
        for square in np.load(squares):
            image = mediapipe.Image(image_format=mediapipe.ImageFormat.SRGB, data=square)
            (head,) = classifier.classify(image).classifications
            first = head.categories[0]
            answer = {
                "category": first.category_name,
                "display_name": first.display_name,
                "scores": {one.category_name: one.score for one in head.categories},
            }
            print(json.dumps(answer))


if __name__ == "__main__":
    main(*sys.argv[1:])
