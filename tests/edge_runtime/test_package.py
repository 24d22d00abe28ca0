from __future__ import annotations

import ast
import importlib
import re
import subprocess
import sys
from pathlib import Path

import pytest

import edge_runtime
from edge_runtime import errors

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "edge_runtime"
HEAVY = {
    "tensorflow", "keras", "sklearn", "scipy", "matplotlib", "onnx", "tf2onnx", "h5py", "tabulate",
    "tqdm", "train", "convert", "benchmarks", "cryptography", "pillow_heif",
}  # fmt: skip
INTERPRETERS = {"ai_edge_litert", "tflite_runtime", "onnxruntime"}


def loaded_by(code: str, *words: object) -> set[str]:
    """Top-level names of the modules that ``code`` loads in a process of its own."""
    program = (
        f"import sys\n{code}\nprint()\nprint(*{{name.partition('.')[0] for name in sys.modules}})"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, *map(str, words)],
        capture_output=True, text=True, check=True, cwd=ROOT,
    )  # fmt: skip
    return set(done.stdout.splitlines()[-1].split())


# ---------------------------------------------------------------- what is loaded


def test_importing_the_package_loads_only_the_standard_library():
    baseline = loaded_by("")
    assert loaded_by("import edge_runtime") - baseline - sys.stdlib_module_names == {"edge_runtime"}


@pytest.mark.parametrize("variant", ["tflite_f32", "onnx_f32"])
def test_classifying_loads_one_interpreter_and_nothing_of_the_toolkit(
    bundle: Path, images: list[Path], variant: str
):
    code = (
        "from edge_runtime import Classifier\nClassifier.open(*sys.argv[1:3]).classify(sys.argv[3])"
    )
    loaded = loaded_by(code, bundle, variant, images[0])
    used = "onnxruntime" if variant.startswith("onnx") else "ai_edge_litert"
    assert {"edge_runtime", "numpy", "PIL", used} <= loaded
    needed = {"tqdm"} if used == "ai_edge_litert" else set()  # which its interpreter imports
    assert not loaded & (HEAVY - needed)
    assert loaded & INTERPRETERS == {used}


def test_help_of_the_command_loads_no_interpreter():
    code = "from edge_runtime.commands import main\nmain(['--help'])"
    assert not loaded_by(code) & (INTERPRETERS | {"tensorflow", "keras", "sklearn", "scipy"})


# ---------------------------------------------------------------- the public names


def test_public_names_are_those_that_can_be_imported():
    assert set(edge_runtime._MODULES) | {"__version__"} == set(edge_runtime.__all__)
    assert edge_runtime.__all__ == sorted(edge_runtime.__all__)
    assert dir(edge_runtime) == edge_runtime.__all__
    for name, module in edge_runtime._MODULES.items():
        found = getattr(edge_runtime, name)
        assert found is getattr(importlib.import_module(f"edge_runtime.{module}"), name)
        assert found.__module__ == f"edge_runtime.{module}"
        assert found.__doc__


def test_type_checkers_are_told_the_same_public_names():
    tree = ast.parse((PACKAGE / "__init__.py").read_text("utf-8"))
    (block,) = (node for node in tree.body if isinstance(node, ast.If))
    told = {
        alias.name: statement.module
        for statement in block.body
        if isinstance(statement, ast.ImportFrom)
        for alias in statement.names
    }
    assert told == {
        name: f"edge_runtime.{module}" for name, module in edge_runtime._MODULES.items()
    }


def test_unknown_public_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="has no attribute 'Clasifier'"):
        edge_runtime.Clasifier  # noqa: B018


# ---------------------------------------------------------------- the tree of errors


def drawn_tree(drawing: str) -> dict[str, str]:
    """Every class of the drawing and the class that it hangs from."""
    parents: dict[str, str] = {}
    branch: list[str] = []
    for line in drawing.splitlines():
        found = re.match(r"^ {4}(?P<lines>[│├└─ ]*)(?P<name>[A-Z]\w*Error) {2,}\S", line)
        if found is None:
            continue
        depth, rest = divmod(len(found["lines"]), 4)
        assert rest == 0, line
        assert depth <= len(branch), line
        branch = [*branch[:depth], found["name"]]
        assert found["name"] not in parents, f"{found['name']} is drawn twice"
        parents[found["name"]] = branch[-2] if depth else "Exception"
    return parents


def test_tree_of_errors_is_as_it_is_drawn():
    classes = {name: value for name, value in vars(errors).items() if isinstance(value, type)}
    assert drawn_tree(errors.__doc__ or "") == {
        name: value.__bases__[0].__name__ for name, value in classes.items()
    }
    for name, value in classes.items():
        assert len(value.__bases__) == 1, name
        assert value.__doc__, name


# ---------------------------------------------------------------- who imports whom


def imported_by(file: Path) -> set[str]:
    """Top-level names of all imports in a file, those within functions too."""
    names = set()
    for node in ast.walk(ast.parse(file.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file} imports relatively"
            names.add((node.module or "").partition(".")[0])
    return names


def sources(folder: str) -> list[Path]:
    """The Python files of a package."""
    found = sorted((ROOT / folder).rglob("*.py"))
    assert found
    return found


def test_device_package_imports_only_numpy_pillow_and_interpreters():
    for file in sources("edge_runtime"):
        foreign = imported_by(file) - sys.stdlib_module_names - {"edge_runtime"}
        allowed = {"numpy", "PIL"}
        if file.parent.name == "backends":
            allowed |= INTERPRETERS
        if file.name == "signature.py":
            allowed |= {"cryptography"}
        assert foreign <= allowed, file


@pytest.mark.parametrize(
    ("package", "forbidden"),
    [
        ("edge_runtime", {"train", "convert", "benchmarks"}),
        ("train", {"convert", "benchmarks"}),
        ("convert", {"benchmarks"}),
        ("benchmarks", {"convert"}),
    ],
)
def test_imports_run_downwards_only(package: str, forbidden: set[str]):
    for file in sources(package):
        assert not imported_by(file) & (forbidden | {"tests"}), file
