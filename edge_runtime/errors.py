"""Every error that dermedge raises on purpose, drawn as one tree.

    DermedgeError                     anything below; str(error) is one sentence for the user
    ├── UsageError                    the call itself was wrong (exit status 2)
    │   └── MissingExtraError         an optional package is not installed; says how to install it
    ├── ImageError                    one image cannot be used; others may go on
    │   ├── ImageNotFoundError        no file there, or not a regular file, or not readable
    │   ├── ImageFormatError          no image of a supported format, or a kind of it not read here
    │   ├── ImageReaderError          the optional package that reads this format is not installed
    │   ├── ImageDamagedError         empty, truncated or corrupt
    │   └── ImageTooLargeError        over the pixel or byte limit, decided before decoding
    ├── BundleError                   a bundle cannot be served
    │   ├── BundleNotFoundError       no bundle at that path
    │   ├── ManifestError             manifest.json breaks its schema, or is of an unknown version
    │   ├── IntegrityError            a file is missing, altered, or outside the bundle
    │   ├── SignatureError            a required signature is missing or does not fit
    │   └── VariantError              the variant asked for is not in the bundle
    ├── BackendError                  no interpreter can run the file
    │   ├── BackendNotInstalledError  the interpreter's package is not installed
    │   ├── ModelMismatchError        the model's input or output is not what the manifest says
    │   └── SelfTestError             the interpreter answers the golden inputs wrongly
    ├── DataError                     labelled data cannot be used
    │   ├── DataNotFoundError         no data at that path
    │   ├── TableError                the CSV cannot be read or lacks a column
    │   ├── MissingImagesError        ids in the table that have no file
    │   ├── UnreadableImagesError     files in the table that cannot be decoded
    │   ├── ClassError                too few classes, or classes that do not meet the model's
    │   └── LeakError                 the same lesion or picture on both sides of a split
    ├── RunError                      a run folder is missing, damaged or of an unknown version
    ├── TrainingError                 training cannot go on (for example a loss that is not finite)
    ├── ConversionError               a model cannot be converted at all
    │   └── VariantUnsupportedError   one format cannot hold this model; the other variants go on
    └── GateError                     nothing can be judged with these images

Every class between the root and a leaf is worth catching: ``except ImageError`` skips one image,
``except BundleError`` means that a bundle must not be served.
"""

from __future__ import annotations


class DermedgeError(Exception):
    """Root of every error that dermedge raises on purpose."""


class UsageError(DermedgeError):
    """The call itself was wrong; the command line exits with status 2."""


class MissingExtraError(UsageError):
    """An optional package is not installed; the message says how to install it."""


class ImageError(DermedgeError):
    """One image cannot be used; others may go on."""


class ImageNotFoundError(ImageError):
    """There is no regular, readable file at that path."""


class ImageFormatError(ImageError):
    """The content is no image of a supported format, or a kind of one that is not read here."""


class ImageReaderError(ImageError):
    """The optional package that reads this format is not installed; says how to install it."""


class ImageDamagedError(ImageError):
    """The image is empty, truncated or corrupt."""


class ImageTooLargeError(ImageError):
    """The image is over the pixel or byte limit; decided before decoding."""


class BundleError(DermedgeError):
    """A bundle cannot be served."""


class BundleNotFoundError(BundleError):
    """There is no bundle at that path."""


class ManifestError(BundleError):
    """The manifest breaks its schema, or is of a version that this package does not know."""


class IntegrityError(BundleError):
    """A file of the bundle is missing, altered, or lies outside the bundle."""


class SignatureError(BundleError):
    """A signature of the manifest was required, and it is missing or does not fit."""


class VariantError(BundleError):
    """The variant asked for is not in the bundle."""


class BackendError(DermedgeError):
    """No interpreter can run the model file."""


class BackendNotInstalledError(BackendError):
    """The interpreter's package is not installed."""


class ModelMismatchError(BackendError):
    """The model's input or output is not what the manifest says."""


class SelfTestError(BackendError):
    """The interpreter answers the bundle's golden inputs wrongly."""


class DataError(DermedgeError):
    """Labelled data cannot be used."""


class DataNotFoundError(DataError):
    """There is no data at that path."""


class TableError(DataError):
    """The CSV cannot be read or lacks a column."""


class MissingImagesError(DataError):
    """The table names images that have no file."""


class UnreadableImagesError(DataError):
    """The table names images that cannot be decoded."""


class ClassError(DataError):
    """Too few classes, or classes that do not meet the model's."""


class LeakError(DataError):
    """The same lesion or picture stands on both sides of a split."""


class RunError(DermedgeError):
    """A run folder is missing, damaged or of a version that this package does not know."""


class TrainingError(DermedgeError):
    """Training cannot go on."""


class ConversionError(DermedgeError):
    """A model cannot be converted at all."""


class VariantUnsupportedError(ConversionError):
    """One format cannot hold this model; the other variants go on."""


class GateError(DermedgeError):
    """Nothing can be judged with these images."""
