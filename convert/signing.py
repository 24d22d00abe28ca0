"""Keys and signatures, so that a device can tell who made a bundle."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edge_runtime._files import write_bytes
from edge_runtime.bundle import Bundle
from edge_runtime.errors import MissingExtraError, UsageError
from edge_runtime.signature import INSTALL, SIGNATURE_FILE, fingerprint, verify

PUBLIC_SUFFIX = ".pub"
_PRIVATE_MODE = 0o600
_PUBLIC_MODE = 0o644
_OTHERS = 0o077


@dataclass(frozen=True)
class Key:
    """A key that was made: its two files, and what people compare it by."""

    private: Path
    public: Path
    fingerprint: str


@dataclass(frozen=True)
class Signed:
    """A signature that was written, by the key with this fingerprint."""

    file: Path
    fingerprint: str


def new_key(path: Path) -> Key:
    """Write a new Ed25519 key to ``path``, readable by its owner alone, and its public half beside.

    Raises:
        UsageError: ``path`` names no file, one of the two is there already, or cannot be written.
        MissingExtraError: the package cryptography is not installed.
    """
    _need_cryptography()
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    if not path.name:
        raise UsageError(f"{str(path)!r} names no file; name the key, for example KEY.pem.")
    public_path = path.with_suffix(PUBLIC_SUFFIX)
    if public_path == path:
        raise UsageError(f"{path} ends like a public key; name the private one KEY.pem.")
    key = Ed25519PrivateKey.generate()
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    public = key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    if os.path.lexists(public_path):
        raise UsageError(f"{public_path} is there already; name another key, or remove it first.")
    _create(path, private, _PRIVATE_MODE)
    try:
        _create(public_path, public, _PUBLIC_MODE)
    except UsageError:
        path.unlink()
        raise
    return Key(path, public_path, fingerprint(key.public_key()))


def sign(bundle: str | os.PathLike[str], key: Path) -> Signed:
    """Check every file of a bundle, and sign its manifest; an earlier signature is replaced.

    Raises:
        BundleError: the bundle is missing, damaged or altered, and nothing was signed.
        UsageError: ``key`` is no Ed25519 private key, or the signature cannot be written.
        MissingExtraError: the package cryptography is not installed.
    """
    _need_cryptography()
    opened = Bundle.open(bundle)
    for damage in opened.damages():
        raise damage
    private = _load(key)
    signature: bytes = private.sign(opened.manifest_bytes)
    public = private.public_key()
    verify(opened.manifest_bytes, signature, public.public_bytes_raw())
    file = opened.folder / SIGNATURE_FILE
    try:
        write_bytes(file, signature)
    except OSError as error:
        raise UsageError(f"{file} cannot be written ({error.strerror}).") from None
    return Signed(file, fingerprint(public))


def readable_by_others(key: Path) -> bool:
    """Whether others than its owner may read a private key's file (never known on Windows)."""
    return os.name == "posix" and bool(key.stat().st_mode & _OTHERS)


def _load(path: Path) -> Any:
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    try:
        content = path.read_bytes()
    except OSError as error:
        raise UsageError(
            f"The key {path} cannot be read ({error.strerror}); make one with "
            "`dermedge sign --new-key KEY.pem`."
        ) from None
    try:
        private = load_pem_private_key(content, password=None)
    except TypeError:  # what cryptography raises where a password is needed
        raise UsageError(
            f"{path.name} is locked by a password; unlock a copy with `openssl pkey -in KEY.pem`."
        ) from None
    except (ValueError, UnsupportedAlgorithm):
        private = None
    if not isinstance(private, Ed25519PrivateKey):
        raise UsageError(
            f"{path.name} is no Ed25519 private key in PEM form; make one with "
            "`dermedge sign --new-key KEY.pem`."
        )
    return private


def _create(path: Path, content: bytes, mode: int) -> None:
    """Write a file that must not be there yet; it never has a wider mode than ``mode``."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    except FileExistsError:
        raise UsageError(
            f"{path} is there already; name another key, or remove it first."
        ) from None
    except OSError as error:
        raise UsageError(f"{path} cannot be written ({error.strerror}).") from None
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _need_cryptography() -> None:
    try:
        import cryptography  # noqa: F401
    except ImportError:
        raise MissingExtraError(
            f"Signatures are made by the package cryptography; run `{INSTALL}`."
        ) from None
