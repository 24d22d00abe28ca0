"""Every error of the tree, provoked for real: by what a user may do, and what that raises.

`docs/errors.md` quotes these sentences. Each one is raised by the code itself, in a folder of its
own, with relative paths, so that it reads the same everywhere.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from edge_runtime import errors
from edge_runtime.classifier import Classifier
from edge_runtime.errors import DermedgeError
from tests.edge_runtime.changing import edit_manifest, variant
from tests.edge_runtime.making import encode, header_only, noise
from tests.edge_runtime.small import write_small_bundle


@dataclass(frozen=True)
class Provocation:
    """What was done, in words, and the function that does it, which raises ``error``.

    ``remedy`` is for sentences that do not end in what to do.
    """

    error: type[DermedgeError]
    deed: str
    do: Callable[[], object]
    remedy: str = ""


def provoke(provocation: Provocation, folder: Path) -> DermedgeError:
    """The error, raised in ``folder``, which then holds a bundle called ``lesions``."""
    write_small_bundle(folder / "lesions")
    with contextlib.chdir(folder):
        try:
            provocation.do()
        except DermedgeError as error:
            if type(error) is not provocation.error:
                raise
            return error
    raise AssertionError(f"{provocation.deed}: nothing was raised")


# ---------------------------------------------------------------- the device package


def _classify(name: str, content: bytes | None) -> None:
    if content is not None:
        Path(name).write_bytes(content)
    Classifier.open("lesions").classify(name)


@contextlib.contextmanager
def _without(*packages: str) -> Iterator[None]:
    """As if the packages were not installed."""
    own = {name for name in sys.modules if name.partition(".")[0] in packages}
    kept = {name: sys.modules.pop(name) for name in own}
    sys.modules.update(dict.fromkeys(packages))  # type: ignore[arg-type]
    try:
        yield
    finally:
        for name in packages:
            del sys.modules[name]
        sys.modules.update(kept)


def _no_cryptography() -> None:
    Path("key.pub").write_text("a key")
    with _without("cryptography"):
        Classifier.open("lesions", require_signature="key.pub")


def _no_heic_reader() -> None:
    with _without("pillow_heif"):
        _classify("phone.heic", b"\0\0\0\x18ftypheic\0\0\0\0mif1heic")


def _no_interpreter() -> None:
    with _without("ai_edge_litert", "tflite_runtime", "onnxruntime"):
        Classifier.open("lesions", "tflite_f32")


def _unsigned() -> None:
    from convert.signing import new_key

    new_key(Path("key.pem"))
    Classifier.open("lesions", require_signature="key.pub")


def _newer_manifest() -> None:
    edit_manifest(Path("lesions"), lambda document: document.update(schema_version=2))
    Classifier.open("lesions")


def _altered_model() -> None:
    Path("lesions/model.tflite").write_bytes(b"another model")
    Classifier.open("lesions")


def _other_size() -> None:
    edit_manifest(Path("lesions"), lambda document: document["input"].update(size=32))
    Classifier.open("lesions")


def _wrong_answers() -> None:
    edit_manifest(Path("lesions"), lambda own: variant(own, "tflite_f32")["golden"].reverse())
    Classifier.open("lesions")


# ---------------------------------------------------------------- the toolkit


def _table(*rows: str, images: tuple[str, ...] = ()) -> None:
    """Read ``data/metadata.csv`` with these lines, and generated images beside it."""
    from train.data.table import read_data

    _write_table(rows, images)
    read_data("data")


def _write_table(rows: tuple[str, ...], images: tuple[str, ...]) -> None:
    Path("data/images").mkdir(parents=True)
    Path("data/metadata.csv").write_text("\n".join(rows) + "\n")
    for seed, name in enumerate(images):
        Path("data/images", name).write_bytes(encode(noise(seed=seed), "JPEG"))


def _no_data() -> None:
    from train.data.table import read_data

    read_data("my/data")


def _cut_image() -> None:
    from train.data.tensors import digest_files

    Path("mole.jpg").touch()
    digest_files([Path("mole.jpg")])


def _torn_lesion() -> None:
    from train.data.split import split
    from train.data.table import read_data

    rows = ("image_id,dx,lesion_id,split", "a,nv,1,train", "b,nv,1,test", "c,mel,2,val")
    _write_table(rows, ("a.jpg", "b.jpg", "c.jpg"))
    split(read_data("data"), ["1", "2", "3"], seed=0)


def _no_run() -> None:
    from train.run import RunFolder

    RunFolder.open("runs/first")


def _no_checkpoint() -> None:
    from train.architectures._torch_checkpoint import read_checkpoint

    Path("weights.pth").write_text("not weights")
    read_checkpoint(Path("weights.pth"))


def _no_keras_file() -> None:
    from train.importing.file import read_model

    Path("model.keras").write_text("not a model")
    read_model(Path("model.keras"))


def _unsupported() -> None:
    from convert.variants.tflite_int16x8 import softmax_in_float
    from edge_runtime.doctor.tiny import TINY_MODELS

    softmax_in_float(TINY_MODELS["tflite"])


def _no_margin() -> None:
    from convert.gate.judge import Margins

    Margins(auc=2)


PROVOCATIONS = (
    Provocation(errors.UsageError, "`dermedge classify mole.jpg --model lesions --threads 0`",
                lambda: Classifier.open("lesions", threads=0), "Correct the call."),
    Provocation(errors.MissingExtraError, "`--require-signature`, without the package cryptography",
                _no_cryptography),
    Provocation(errors.ImageNotFoundError, "a path at which there is nothing",
                lambda: _classify("mole.jpg", None)),
    Provocation(errors.ImageFormatError, "a text file with the name of an image",
                lambda: _classify("mole.jpg", b"not an image\n")),
    Provocation(errors.ImageReaderError, "a phone's HEIC photograph, without the extra `heic`",
                _no_heic_reader),
    Provocation(errors.ImageDamagedError, "a file whose copy failed",
                lambda: _classify("mole.jpg", b"")),
    Provocation(errors.ImageTooLargeError, "a scan of a whole page",
                lambda: _classify("page.png", header_only("PNG", 9000, 7000))),
    Provocation(errors.BundleNotFoundError, "a wrong path to the bundle",
                lambda: Classifier.open("bundles/lesions")),
    Provocation(errors.ManifestError, "a bundle of a newer toolkit", _newer_manifest),
    Provocation(errors.IntegrityError, "a model file that is not the one that was judged",
                _altered_model),
    Provocation(errors.SignatureError, "`--require-signature key.pub`, and nobody has signed",
                _unsigned),
    Provocation(errors.VariantError, "`--variant tflite_int4`",
                lambda: Classifier.open("lesions", "tflite_int4"), "Name one that it holds."),
    Provocation(errors.BackendNotInstalledError, "no interpreter is installed", _no_interpreter),
    Provocation(errors.ModelMismatchError, "a manifest with another input size than its model",
                _other_size),
    Provocation(errors.SelfTestError, "an interpreter that answers otherwise than it should",
                _wrong_answers),
    Provocation(errors.DataNotFoundError, "`dermedge train --data my/data`, a wrong path",
                _no_data),
    Provocation(errors.TableError, "a table without a column for the class",
                lambda: _table("image_id,label", "a,nv"), "Name the columns so."),
    Provocation(errors.MissingImagesError, "a table that lists an image that is not there",
                lambda: _table("image_id,dx", "a,nv", "b,mel", images=("a.jpg",))),
    Provocation(errors.UnreadableImagesError, "an image of the data is empty", _cut_image,
                "Replace them or take them out of the data."),
    Provocation(errors.ClassError, "images of one class only",
                lambda: _table("image_id,dx", "a,nv", images=("a.jpg",)), "Add another class."),
    Provocation(errors.LeakError, "a split with one lesion on both sides", _torn_lesion),
    Provocation(errors.RunError, "`dermedge convert runs/first`, a wrong path", _no_run),
    Provocation(errors.TrainingError, "weights to start from that are none", _no_checkpoint,
                "Name or install the weights again."),
    Provocation(errors.ConversionError, "`dermedge import model.keras` with something else",
                _no_keras_file),
    Provocation(errors.VariantUnsupportedError, "a format that cannot hold the network",
                _unsupported, "Nothing, if another variant will do: the others go on."),
    Provocation(errors.GateError, "`--auc-margin 2`", _no_margin, "Name a fraction."),
)  # fmt: skip
"""One for every leaf of the tree, and for those branches that are raised themselves."""
