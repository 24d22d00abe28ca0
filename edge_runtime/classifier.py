"""The classifier: a bundle's model behind three methods.

>>> classifier = Classifier.open("bundle")
>>> classifier.classify("lesion.jpg").melanoma_probability
>>> for answer in classifier.classify_many(["a.jpg", "b.jpg"]): ...
"""

from __future__ import annotations

import collections
import math
import os
import threading
import time
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from edge_runtime import backends
from edge_runtime.bundle import Bundle
from edge_runtime.checks import Inspection, Inspector
from edge_runtime.decision import decide
from edge_runtime.errors import (
    ImageError,
    ModelMismatchError,
    SelfTestError,
    UsageError,
)
from edge_runtime.formats import wrong_suffix
from edge_runtime.image import MAX_PIXELS, Decoded, decode, read
from edge_runtime.manifest import Variant
from edge_runtime.preprocess import to_input
from edge_runtime.result import Failure, ModelId, Quality, Result, Timing
from edge_runtime.selection import choose_variant
from edge_runtime.source import decode_source, file_of

if TYPE_CHECKING:
    from concurrent.futures import Future

    from numpy.typing import NDArray

    from edge_runtime.signature import PublicKey
    from edge_runtime.source import ImageSource

_QUEUED_PER_WORKER = 2


class Classifier:
    """One variant of a bundle, loaded and self-tested. Not for use by two threads at once."""

    def __init__(
        self, bundle: Bundle, variant: Variant, kind: backends.BackendKind, *, threads: int,
        max_pixels: int = MAX_PIXELS, checks: bool = True,
    ) -> None:  # fmt: skip
        """Use `Classifier.open`, which chooses the variant and the backend."""
        self.bundle, self.variant, self.backend_kind = bundle, variant, kind
        self.threads, self.max_pixels = threads, max_pixels
        manifest = bundle.manifest
        self.rule = manifest.input
        self._codes = manifest.codes
        self._malignant = np.array([label.malignant for label in manifest.labels])
        self._melanoma = None if manifest.melanoma is None else self._codes.index(manifest.melanoma)
        self._model_id = ModelId(manifest.name, manifest.version, variant.name, variant.sha256)
        self._model = bundle.model(variant)
        self.backend = self._load(threads)
        self._local = threading.local()
        self.inspector = Inspector.of_bundle(bundle) if checks else None

    @classmethod
    def open(
        cls, bundle: str | os.PathLike[str] | Bundle, variant: str | None = None,
        threads: int | None = None, backend: str | None = None, *, max_pixels: int = MAX_PIXELS,
        require_signature: PublicKey | None = None, checks: bool = True,
    ) -> Classifier:  # fmt: skip
        """Load a bundle's model and let it answer the bundle's golden inputs.

        Args:
            bundle: folder that `dermedge convert` wrote.
            variant: name of a variant; by default the most preferred one that passed the gate and
                that an installed interpreter reads.
            threads: interpreter threads; by default the cores that this process may use.
            backend: name of a backend; by default the first installed one that reads the variant.
            max_pixels: larger images are refused from their header.
            require_signature: public key (the path of a PEM file, or its content) that must have
                signed the bundle; by default a signature is neither needed nor looked at.
            checks: look at each photograph's quality, and whether the model knows its like; a
                bundle without checks is served without. When False, every photograph gets `refer`
                or `routine`.

        Raises:
            BundleError: the bundle is missing, damaged, altered, of an unknown version, or not
                signed as required.
            BackendError: no interpreter for it, or one that answers wrongly.
            UsageError: ``threads`` is not of 1 to `backends.MAX_THREADS`, or ``max_pixels`` is
                below 1.
        """
        used = backends.threads_to_use(threads)
        if max_pixels < 1:
            raise UsageError(f"max_pixels is {max_pixels}, expected 1 or more.")
        if isinstance(bundle, Bundle):
            opened = bundle
            if require_signature is not None:
                opened.verify(require_signature)
        else:
            opened = Bundle.open(bundle, require_signature=require_signature)
        chosen, kind = choose_variant(opened, variant, backend)
        classifier = cls(
            opened, chosen, kind, threads=used, max_pixels=max_pixels, checks=checks,
        )  # fmt: skip
        classifier.self_test()
        return classifier

    def classify(self, image: ImageSource) -> Result:
        """Classify one image.

        Args:
            image: a path, the bytes of an image file, a Pillow image, or a uint8 RGB array of
                shape (height, width, 3).

        Raises:
            ImageError: the image cannot be used; the message says why.
            ModelMismatchError: the model answered with something that is not finite.
        """
        return self._classify(image, self.backend)

    def classify_many(self, images: Iterable[ImageSource]) -> Iterator[Result | Failure]:
        """Classify images on all cores; answers come in input order, one bad image stops nothing.

        Memory does not grow with the number of images: a few are under way at a time. Each core
        gets an interpreter of its own with one thread, which beats one interpreter with many.

        Raises:
            UsageError: ``images`` is a path, or the bytes of a file.
        """
        if isinstance(images, (str, bytes, os.PathLike)):
            raise UsageError("classify_many was given one image, expected several; use classify.")
        from concurrent.futures import ThreadPoolExecutor  # one image does not wait for it

        window: collections.deque[Future[Result | Failure]] = collections.deque()
        pool = ThreadPoolExecutor(self.threads, thread_name_prefix="dermedge")
        try:
            for image in images:
                window.append(pool.submit(self._classify_or_fail, image))
                if len(window) > self.threads * _QUEUED_PER_WORKER:
                    yield window.popleft().result()
            while window:
                yield window.popleft().result()
        finally:
            pool.shutdown(wait=True, cancel_futures=True)

    def input_tensor(self, image: ImageSource) -> NDArray[np.uint8]:
        """What the model is fed for ``image``: uint8 of shape (size, size, 3), RGB.

        Raises:
            ImageError: the image cannot be used.
        """
        file = file_of(image)
        content = read(file) if file is not None else image
        decoded = decode_source(content, file, self.rule, self.max_pixels)
        return to_input(decoded.pixels, self.rule)

    def probabilities(self, tensor: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Class probabilities of an input tensor that `input_tensor` made.

        Args:
            tensor: uint8 of shape (size, size, 3).

        Returns:
            float32 of shape (classes,), in the order of the manifest's labels.

        Raises:
            UsageError: another shape or dtype.
            ModelMismatchError: the model answered with something that is not finite.
        """
        if (
            not isinstance(tensor, np.ndarray) or tensor.dtype != np.uint8
            or tensor.shape != self.rule.shape
        ):  # fmt: skip
            found = type(tensor).__name__
            if isinstance(tensor, np.ndarray):
                found = f"{tensor.dtype} of shape {tensor.shape}"
            raise UsageError(
                f"The tensor is {found}, expected uint8 of shape {self.rule.shape}; make it with "
                "`input_tensor`."
            )
        return self._probabilities(tensor, self.backend)

    def self_test(self) -> float:
        """Answer the bundle's golden inputs; the largest difference from what is expected.

        An interpreter may load a file that is newer than itself and answer wrongly without an
        error; this is where that is found out.

        Raises:
            SelfTestError: a probability differs by more than the variant's tolerance.
        """
        worst = 0.0
        for entry, expected in zip(
            self.bundle.manifest.golden_inputs, self.variant.golden, strict=True
        ):
            decoded = decode(self.bundle.read(entry.file, entry.sha256), name=entry.file)
            answered = self.probabilities(to_input(decoded.pixels, self.rule))
            worst = max(worst, float(np.abs(answered - np.array(expected)).max()))
        if worst > self.variant.golden_tolerance:
            raise SelfTestError(
                f"{self.backend_kind.name} answers the golden inputs of {self.variant.name} "
                f"wrongly: a probability differs by {worst:.3f}, allowed are "
                f"{self.variant.golden_tolerance:g}; update the interpreter, or "
                "use another variant or backend."
            )
        return worst

    def _load(self, threads: int) -> backends.Backend:
        backend = backends.load(self.backend_kind, self._model, threads)
        if backend.input_shape != (1, *self.rule.shape) or backend.classes != len(self._codes):
            raise ModelMismatchError(
                f"{self.variant.file} takes {backend.input_shape} and gives {backend.classes} "
                f"classes, the manifest says {(1, *self.rule.shape)} and {len(self._codes)} labels;"
                " convert the run again."
            )
        return backend

    def _classify_or_fail(self, image: ImageSource) -> Result | Failure:
        backend: backends.Backend | None = getattr(self._local, "backend", None)
        if backend is None:
            backend = self._local.backend = self._load(1)
        try:
            return self._classify(image, backend)
        except ImageError as error:
            return Failure(file_of(image), error)

    def _classify(self, image: ImageSource, backend: backends.Backend) -> Result:
        clock = time.perf_counter
        started = clock()
        file = file_of(image)
        content = read(file) if file is not None else image
        was_read = clock()
        decoded = decode_source(content, file, self.rule, self.max_pixels)
        was_decoded = clock()
        tensor = to_input(decoded.pixels, self.rule)
        was_preprocessed = clock()
        found = None
        if self.inspector is not None:
            found = self.inspector.inspect(tensor, decoded.width, decoded.height)
        quality = _quality(decoded, tensor, found)
        was_checked = clock()
        probabilities = self._probabilities(tensor, backend)
        was_inferred = clock()

        melanoma = None if self._melanoma is None else _exact(probabilities[self._melanoma])
        malignant = min(1.0, _exact(probabilities[self._malignant].sum()))
        targets = {"malignant": malignant}
        if melanoma is not None:
            targets = {"melanoma": melanoma, **targets}
        decision, reasons = decide(
            targets, self.variant.operating_points,
            retake=found.retake if found else (), uncertain=found.uncertain if found else (),
        )  # fmt: skip
        notes = decoded.notes
        if file is not None and wrong_suffix(file, decoded.format):
            notes = (f"its content is {decoded.format}, though its name says otherwise", *notes)
        return Result(
            file=file,
            label=self._codes[int(probabilities.argmax())],
            probabilities={
                code: _exact(value) for code, value in zip(self._codes, probabilities, strict=True)
            },
            melanoma_probability=melanoma,
            malignant_probability=malignant,
            decision=decision,
            reasons=reasons,
            quality=quality,
            model=self._model_id,
            timing_ms=Timing(
                read=_ms(was_read - started),
                decode=_ms(was_decoded - was_read),
                preprocess=_ms(was_preprocessed - was_decoded),
                checks=_ms(was_checked - was_preprocessed),
                inference=_ms(was_inferred - was_checked),
                total=_ms(clock() - started),
            ),
            notes=notes,
            unfamiliarity=None if found is None else _rounded(found.unfamiliarity),
        )

    def _probabilities(
        self, tensor: NDArray[np.uint8], backend: backends.Backend
    ) -> NDArray[np.float32]:
        probabilities = backend.run(tensor)
        if not np.isfinite(probabilities).all():
            raise ModelMismatchError(
                f"{self.variant.file} answered with a number that is not finite; "
                "use another variant, or convert the run again."
            )
        return probabilities


def _quality(decoded: Decoded, tensor: NDArray[np.uint8], found: Inspection | None) -> Quality:
    mean, deviation = _grey(tensor)
    checked = {}
    if found is not None:
        checked = {name: _rounded(value) for name, value in vars(found.figures).items()}
    return Quality(decoded.width, decoded.height, round(mean, 1), round(deviation, 1), **checked)


def _grey(tensor: NDArray[np.uint8]) -> tuple[float, float]:
    """Mean and standard deviation of the grey values, of their histogram: that is quick to add."""
    from PIL import Image

    counts = np.array(Image.fromarray(tensor).convert("L").histogram())
    levels = np.arange(len(counts))
    mean = float(counts @ levels) / tensor[..., 0].size
    power = float(counts @ (levels * levels)) / tensor[..., 0].size
    return mean, math.sqrt(max(0.0, power - mean * mean))


def _rounded(value: float) -> float:
    return round(value, 4)


def _exact(value: np.floating[Any]) -> float:
    """The shortest decimal that is the same float32: 0.1 and not 0.10000000149011612."""
    return float(str(np.float32(value)))


def _ms(seconds: float) -> float:
    return round(seconds * 1000, 3)
