"""A bundle on disk: its manifest, and its files as checked bytes.

Whoever wants a file gets the very bytes whose SHA-256 was compared with the manifest; nothing is
read a second time, so nothing can change between the check and the use. Where a signature is
required, it is that of the very bytes that the manifest was parsed from.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from edge_runtime._files import sha256
from edge_runtime._strict import plain
from edge_runtime.errors import BundleNotFoundError, IntegrityError
from edge_runtime.manifest import LABELS_FILE, MANIFEST_FILE, Manifest, Variant, parse_manifest
from edge_runtime.signature import SIGNATURE_BYTES, SIGNATURE_FILE, verify

if TYPE_CHECKING:
    from edge_runtime.signature import PublicKey


@dataclass(frozen=True)
class Bundle:
    """An opened bundle folder.

    Attributes:
        folder: where it is.
        manifest: what it says of itself.
        sha256: SHA-256 of `manifest.json`, which names the digests of all other files.
        manifest_bytes: the content of `manifest.json` that ``manifest`` was parsed from.
    """

    folder: Path
    manifest: Manifest
    sha256: str
    manifest_bytes: bytes = field(repr=False, compare=False)

    @classmethod
    def open(
        cls, folder: str | os.PathLike[str], *, require_signature: PublicKey | None = None
    ) -> Bundle:
        """Read and check the manifest of the bundle in ``folder``; model files are read later.

        Args:
            folder: that `dermedge convert` wrote.
            require_signature: public key (the path of a PEM file, or its content) that must have
                signed the manifest; by default a signature is neither needed nor looked at.

        Raises:
            BundleNotFoundError: no such folder, or no manifest in it.
            SignatureError: the required signature is missing or does not fit.
            ManifestError: the manifest breaks its schema.
            IntegrityError: `labels.txt` does not say what the manifest says.
        """
        bundle = cls.open_unchecked(folder, require_signature=require_signature)
        bundle._check_labels()
        return bundle

    @classmethod
    def open_unchecked(
        cls, folder: str | os.PathLike[str], *, require_signature: PublicKey | None = None
    ) -> Bundle:
        """`open` without a look at `labels.txt`, for those who report on damaged bundles."""
        path = Path(folder)
        try:
            content = _read_file(path, MANIFEST_FILE)
        except (OSError, ValueError) as error:  # the latter of a path with a null character
            found = "a folder without" if os.path.isdir(path) else "no folder with"
            reason = error.strerror if isinstance(error, OSError) else error
            raise BundleNotFoundError(
                f"{os.fspath(folder)} is {found} a readable {MANIFEST_FILE} ({reason}); "
                "name a bundle that `dermedge convert` wrote."
            ) from None
        if require_signature is not None:
            verify(content, _read_signature(path), require_signature)
        return cls(path, parse_manifest(content), sha256(content), content)

    @property
    def signature(self) -> bytes | None:
        """The content of `manifest.sig`, which proves nothing before `verify`; None without it."""
        return _read_signature(self.folder)

    def verify(self, key: PublicKey) -> str:
        """Check that ``key`` has signed this manifest; the key's fingerprint.

        Raises:
            SignatureError: the signature is missing or does not fit.
            UsageError: ``key`` is no Ed25519 public key.
            MissingExtraError: the package cryptography is not installed.
        """
        return verify(self.manifest_bytes, self.signature, key)

    def damages(self) -> Iterator[IntegrityError]:
        """What is wrong with the files of the bundle: all of them are read."""
        for entry in self.manifest.files:
            try:
                self.read(entry.file, entry.sha256)
            except IntegrityError as error:
                yield error

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
        try:
            content = _read_file(self.folder, file)
        except OSError as error:
            raise IntegrityError(
                f"{plain(file)} of the bundle {self._name} cannot be read ({error.strerror}); "
                "copy the bundle again."
            ) from None
        found = sha256(content)
        if found != digest:
            raise IntegrityError(
                f"{plain(file)} of the bundle {self._name} was altered: its SHA-256 is "
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
                f"{LABELS_FILE} says {plain(', '.join(lines))}, the manifest says "
                f"{plain(', '.join(self.manifest.codes))}; convert the run again."
            )


def _read_file(folder: Path, file: str) -> bytes:
    """The bytes of a file within ``folder``."""
    resolved = Path(os.path.realpath(folder / file, strict=True))
    if not resolved.is_relative_to(folder.resolve()):
        raise IntegrityError(f"{plain(file)} leads out of the bundle; copy the bundle again.")
    if not resolved.is_file():  # a pipe in its place would be waited for
        raise IsADirectoryError(errno.EISDIR, "it is not a file")
    return resolved.read_bytes()


def _read_signature(folder: Path) -> bytes | None:
    try:
        return _read_file(folder, SIGNATURE_FILE)[: SIGNATURE_BYTES + 1]  # a longer one is none
    except OSError:
        return None
