"""A bundle on disk: its manifest, and its files as checked bytes.

Whoever wants a file gets the very bytes whose SHA-256 was compared with the manifest; nothing is
read a second time, so nothing can change between the check and the use.
"""

from __future__ import annotations

import errno
import os
from dataclasses import dataclass
from pathlib import Path

from edge_runtime._files import sha256
from edge_runtime.errors import BundleNotFoundError, IntegrityError
from edge_runtime.manifest import LABELS_FILE, MANIFEST_FILE, Manifest, Variant, parse_manifest


@dataclass(frozen=True)
class Bundle:
    """An opened bundle folder.

    Attributes:
        folder: where it is.
        manifest: what it says of itself.
        sha256: SHA-256 of `manifest.json`, which names the digests of all other files.
    """

    folder: Path
    manifest: Manifest
    sha256: str

    @classmethod
    def open(cls, folder: str | os.PathLike[str]) -> Bundle:
        """Read and check the manifest of the bundle in ``folder``; model files are read later.

        Raises:
            BundleNotFoundError: no such folder, or no manifest in it.
            ManifestError: the manifest breaks its schema.
            IntegrityError: `labels.txt` does not say what the manifest says.
        """
        path = Path(folder)
        try:
            content = (path / MANIFEST_FILE).read_bytes()
        except OSError as error:
            found = "a folder without" if path.is_dir() else "no folder with"
            raise BundleNotFoundError(
                f"{os.fspath(folder)} is {found} a readable {MANIFEST_FILE} ({error.strerror}); "
                "name a bundle that `dermedge convert` wrote."
            ) from None
        bundle = cls(path, parse_manifest(content), sha256(content))
        bundle._check_labels()
        return bundle

    def model(self, variant: Variant) -> bytes:
        """The checked bytes of a variant's model file.

        Raises:
            IntegrityError: missing, altered, or outside the bundle.
        """
        return self.read(variant.file, variant.sha256)

    def read(self, file: str, digest: str) -> bytes:
        """The bytes of ``file`` (relative to the bundle), whose SHA-256 must be ``digest``.

        Raises:
            IntegrityError: missing, altered, or outside the bundle (also through a symbolic link).
        """
        path = self.folder / file
        try:
            resolved = Path(os.path.realpath(path, strict=True))
            if not resolved.is_relative_to(self.folder.resolve()):
                raise IntegrityError(f"{file} leads out of the bundle; copy the bundle again.")
            if not resolved.is_file():  # a pipe in its place would be waited for
                raise IsADirectoryError(errno.EISDIR, "it is not a file")
            content = resolved.read_bytes()
        except OSError as error:
            raise IntegrityError(
                f"{file} of the bundle {self._name} cannot be read ({error.strerror}); "
                "copy the bundle again."
            ) from None
        found = sha256(content)
        if found != digest:
            raise IntegrityError(
                f"{file} of the bundle {self._name} was altered: its SHA-256 is "
                f"{found[:12]}..., expected {digest[:12]}...; copy the bundle again."
            )
        return content

    @property
    def _name(self) -> str:
        return self.folder.absolute().name  # also where the folder was given as "."

    def _check_labels(self) -> None:
        listed = {entry.file: entry.sha256 for entry in self.manifest.other_files}
        if LABELS_FILE not in listed:
            raise IntegrityError(f"The manifest lists no {LABELS_FILE}; convert the run again.")
        lines = self.read(LABELS_FILE, listed[LABELS_FILE]).decode("utf-8", "replace").splitlines()
        if tuple(lines) != self.manifest.codes:
            raise IntegrityError(
                f"{LABELS_FILE} says {', '.join(lines)}, the manifest says "
                f"{', '.join(self.manifest.codes)}; convert the run again."
            )
