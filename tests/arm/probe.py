"""Run by the Python of each machine that is compared: ``python probe.py JOB ANSWERS``.

JOB is a JSON file (the fields of `tests.arm.asking.Job`), ANSWERS the NumPy archive to write. What
is installed there is all that this file may import: the device package and NumPy.
"""

from __future__ import annotations

import importlib
import json
import platform
import sys
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, features

from edge_runtime import Classifier
from edge_runtime.backends import choose

BUILT_IN = "BUILTIN_WITHOUT_DEFAULT_DELEGATES"


def main(job_file: str, answers_file: str) -> None:
    """Do what the job says, and write it down."""
    job = json.loads(Path(job_file).read_text("utf-8"))
    tensors = np.load(job["tensors"])
    answers: dict[str, Any] = {"about": json.dumps(about())}
    for name in job["variants"]:
        classifier = Classifier.open(job["bundle"], name, threads=1, backend=job["backend"])
        answers[f"self_test/{name}"] = classifier.self_test()
        answers[f"probabilities/{name}"] = [classifier.probabilities(each) for each in tensors]
    if job["images"]:
        classifier = Classifier.open(job["bundle"], "tflite_int8", threads=1)
        answers["inputs"] = [classifier.input_tensor(file) for file in job["images"]]
    for name, model in job["graphs"].items():
        answers[f"graph/{name}"] = invoke(model, tensors, job["backend"], job["built_in"])
    np.savez(answers_file, **answers)


def invoke(model: str, tensors: Any, backend: str, built_in: bool) -> Any:
    """What a file answers, whatever the type and shape of its output.

    Args:
        model: a TFLite file that takes uint8 images.
        tensors: shape (n, size, size, 3).
        backend: "litert" or "tflite-runtime".
        built_in: run the interpreter's own kernels and not those of XNNPACK.
    """
    module: Any = importlib.import_module(f"{choose('tflite', backend).package}.interpreter")
    options = {}
    if built_in:
        options["experimental_op_resolver_type"] = module.OpResolverType[BUILT_IN]
    interpreter = module.Interpreter(model_path=model, num_threads=1, **options)
    interpreter.allocate_tensors()
    (source,) = interpreter.get_input_details()
    (result,) = interpreter.get_output_details()
    answers = []
    for tensor in tensors:
        interpreter.set_tensor(source["index"], tensor[np.newaxis].astype(source["dtype"]))
        interpreter.invoke()
        answers.append(interpreter.get_tensor(result["index"])[0])
    return np.array(answers)


def about() -> dict[str, str]:
    """What answers."""
    import edge_runtime

    return {
        "machine": platform.machine(),
        "python": platform.python_version(),
        "numpy": np.__version__,
        "pillow": Image.__version__,
        "libjpeg_turbo": str(features.version_feature("libjpeg_turbo")),
        "package": str(Path(edge_runtime.__file__).parent),
    }


if __name__ == "__main__":
    main(*sys.argv[1:])
