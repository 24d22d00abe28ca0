"""Real things to test with: generated images, a run trained on them, and its bundle.

Each is made once a session by the code under test, with fixed seeds, whichever of the processes
that test asks for it first. Tests that need real
photographs ask for `data_root` and are skipped, with the reason, where there are none.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from filelock import FileLock

from convert.variants import VARIANTS
from edge_runtime.commands import main
from train.data.table import read_data
from train.synthetic import write_dataset

if TYPE_CHECKING:
    from train.run import RunFolder

ROOT = Path(__file__).parent.parent
QUICKEST = ROOT / "tests" / "edge_runtime"
EXECUTABLE = tuple(name for name, kind in VARIANTS.items() if kind.executable)
LESIONS = {"bkl": 60, "mel": 240, "nv": 240}
Command = Callable[..., subprocess.CompletedProcess[str]]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the longest file and end with the quick ones, so that no process waits long."""
    items.sort(key=lambda item: (item.path.name != "test_demo.py", item.path.parent == QUICKEST))


@pytest.fixture(scope="session", autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep the tests' cached tensors and their log of runs away from the user's."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DERMEDGE_RUNS", str(tmp_path_factory.mktemp("log")))
        patch.setenv("DERMEDGE_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


Once = Callable[[str, Callable[[Path], object]], Path]


@pytest.fixture(scope="session")
def once(tmp_path_factory: pytest.TempPathFactory) -> Once:
    """Make a folder of that name, unless another process of this session has; it is for reading."""
    base = tmp_path_factory.getbasetemp()
    shared = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base

    def make(name: str, maker: Callable[[Path], object]) -> Path:
        folder = shared / "shared" / name
        folder.parent.mkdir(exist_ok=True)
        with FileLock(f"{folder}.lock"):
            if not folder.exists():
                maker(folder)
        return folder

    return make


@pytest.fixture(scope="session")
def generated(once: Once) -> Path:
    """A folder of generated images of three classes, split by lesion."""
    return once(
        "data", lambda folder: write_dataset(folder, lesions=LESIONS, seed=7, width=100, height=75)
    )


@pytest.fixture(scope="session")
def run_folder(generated: Path, once: Once) -> RunFolder:
    """A plain CNN trained on them for a few seconds."""
    from train.config import TrainConfig
    from train.run import RunFolder
    from train.training import train

    config = TrainConfig(
        arch="plain_cnn", input_size=32, epochs=6, batch_size=32, learning_rate=3e-3,
        augmentation=0.3, bootstrap=100,
    )  # fmt: skip
    return RunFolder.open(once("run", lambda out: train(read_data(generated), config, out)))


@pytest.fixture(scope="session")
def bundle(run_folder: RunFolder, once: Once) -> Path:
    """Its bundle with all variants that run here, whatever the gate said. Copy before changing."""
    from convert.conversion import convert
    from convert.outcome import Options
    from convert.variants import chosen

    options = Options(
        name="test", variants=chosen(",".join(EXECUTABLE)), bootstrap=100, calibration_images=60,
        accept_unproven=True, allow_failing=True,
    )  # fmt: skip
    return once("bundle", lambda out: convert(run_folder, out, options))


@pytest.fixture
def own_bundle(bundle: Path, tmp_path: Path) -> Path:
    """A copy of the bundle that a test may damage."""
    return Path(shutil.copytree(bundle, tmp_path / "own_bundle"))


@pytest.fixture(scope="session")
def images(generated: Path) -> list[Path]:
    """The generated image files, sorted."""
    return sorted((generated / "images").glob("*.jpg"))


@pytest.fixture(scope="session")
def data_root() -> Path:
    """The folder with the real data sets."""
    folder = os.environ.get("DERMEDGE_DATA")
    if not folder or not (Path(folder) / "ham10000" / "metadata.csv").is_file():
        pytest.skip("no real images: DERMEDGE_DATA does not name a folder that holds ham10000/")
    return Path(folder)


@pytest.fixture(scope="session")
def dermedge() -> Command:
    """Run the installed command in a process of its own: ``dermedge("classify", ...)``."""

    def run(*words: object, cwd: Path = ROOT, check: int | None = None, **environment: str):
        done = subprocess.run(
            [str(Path(sys.executable).parent / "dermedge"), *map(str, words)],
            capture_output=True, text=True, cwd=cwd, timeout=600,
            env={**os.environ, **environment},
        )  # fmt: skip
        if check is not None:
            assert done.returncode == check, f"{done.stdout}\n{done.stderr}"
        return done

    return run


@pytest.fixture
def inside(capsys: pytest.CaptureFixture[str]) -> Command:
    """The same command as `dermedge`, in this process, which has TensorFlow loaded already."""

    def run(*words: object, check: int | None = None) -> subprocess.CompletedProcess[str]:
        typed = [str(word) for word in words]
        done = subprocess.CompletedProcess(typed, main(typed), *capsys.readouterr())
        if check is not None:
            assert done.returncode == check, f"{done.stdout}\n{done.stderr}"
        return done

    return run


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of a quarter of a megabyte."""
    folder = tmp_path / "disk"
    folder.mkdir()
    words = ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(folder)]
    if subprocess.run(words, capture_output=True).returncode:
        pytest.skip("a small disk cannot be mounted here; that takes root")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)
