"""dermedge on the device: load a checked bundle, classify skin-lesion images, say why.

Research software, not a medical device.

>>> from edge_runtime import Classifier
>>> Classifier.open("bundle").classify("lesion.jpg").decision
'refer'
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from edge_runtime._lazy import lazy_names

if TYPE_CHECKING:
    from edge_runtime.bundle import Bundle
    from edge_runtime.classifier import Classifier
    from edge_runtime.errors import (
        BackendError,
        BundleError,
        DermedgeError,
        ImageError,
        UsageError,
    )
    from edge_runtime.manifest import Manifest
    from edge_runtime.preprocess import InputRule
    from edge_runtime.result import Failure, Result

__version__ = "0.1.0"

__all__ = [
    "BackendError",
    "Bundle",
    "BundleError",
    "Classifier",
    "DermedgeError",
    "Failure",
    "ImageError",
    "InputRule",
    "Manifest",
    "Result",
    "UsageError",
    "__version__",
]

_MODULES = {
    "BackendError": "errors",
    "Bundle": "bundle",
    "BundleError": "errors",
    "Classifier": "classifier",
    "DermedgeError": "errors",
    "Failure": "result",
    "ImageError": "errors",
    "InputRule": "preprocess",
    "Manifest": "manifest",
    "Result": "result",
    "UsageError": "errors",
}


__getattr__ = lazy_names(__name__, _MODULES)


def __dir__() -> list[str]:
    return sorted(__all__)
