"""Who vouches for a bundle: an Ed25519 signature (RFC 8032) of its manifest.

`manifest.sig` beside the manifest holds the 64 bytes of a signature over the exact bytes of
`manifest.json`. The manifest names the SHA-256 of every other file, and no file is used before its
bytes were compared with it, so one signature covers them all. What it does not cover: an older
bundle that the same key has signed. Keys are PEM files as OpenSSL writes them, and OpenSSL checks:

    openssl pkeyutl -verify -pubin -inkey KEY.pub -rawin -in manifest.json -sigfile manifest.sig

The arithmetic is that of the package cryptography (the extra ``sign``), imported when a signature
is required. `dermedge sign`, of the toolkit, makes keys and signatures.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edge_runtime._files import sha256
from edge_runtime.errors import MissingExtraError, SignatureError, UsageError

if TYPE_CHECKING:
    PublicKey = str | os.PathLike[str] | bytes
    """An Ed25519 public key: the path of a PEM file, its content (as bytes or text), or the key's
    32 bytes."""

SIGNATURE_FILE = "manifest.sig"
SIGNATURE_BYTES = 64
INSTALL = 'pip install "dermedge-runtime[sign]"'

_KEY_BYTES = 32
_FINGERPRINT_DIGITS = 16
_PEM = "-----BEGIN "
_PRIVATE = b"PRIVATE KEY-----"


def verify(manifest: bytes, signature: bytes | None, key: PublicKey) -> str:
    """Check the signature of a manifest; the fingerprint of the key that made it.

    Args:
        manifest: the exact bytes of `manifest.json`.
        signature: the content of `manifest.sig`, None where there is none.
        key: path of a PEM file with the public key, or the content of one, or the key's 32 bytes.

    Raises:
        SignatureError: no signature, or not of this manifest by this key.
        UsageError: ``key`` is no Ed25519 public key.
        MissingExtraError: the package cryptography is not installed.
    """
    if isinstance(key, str) and key.lstrip().startswith(_PEM):
        key = key.encode()
    public, known_as = _load(key), _shown(key)
    if signature is None:
        raise SignatureError(
            f"The bundle has no {SIGNATURE_FILE}, and a signature by {known_as} is required; take "
            "the bundle from who signs it, or sign it with `dermedge sign`."
        )
    from cryptography.exceptions import InvalidSignature

    try:
        public.verify(signature, manifest)
    except InvalidSignature:
        raise SignatureError(
            f"{SIGNATURE_FILE} is not a signature of this manifest.json by {known_as}: the "
            "manifest was altered, or another key signed it; do not use this bundle."
        ) from None
    return fingerprint(public)


def state(manifest: bytes, signature: bytes | None, key: PublicKey | None) -> str:
    """What is known of a signature, in words; with a key it is checked, as `verify` does.

    Raises:
        SignatureError, UsageError, MissingExtraError: as `verify`.
    """
    if key is not None:
        return f"by the key {verify(manifest, signature, key)}"
    return "none" if signature is None else "there, not checked (no key was given)"


def fingerprint(public: Any) -> str:
    """The first digits of the SHA-256 of a public key, by which people tell keys apart."""
    return sha256(public.public_bytes_raw())[:_FINGERPRINT_DIGITS]


def _load(key: PublicKey) -> Any:
    content = key if isinstance(key, bytes) else _read(key)
    try:
        from cryptography.exceptions import UnsupportedAlgorithm
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
        from cryptography.hazmat.primitives.serialization import load_pem_public_key
    except ImportError:
        raise MissingExtraError(
            f"Signatures are checked by the package cryptography; run `{INSTALL}`."
        ) from None
    if len(content) == _KEY_BYTES:
        return Ed25519PublicKey.from_public_bytes(content)
    if _PRIVATE in content:
        raise UsageError(
            f"{_shown(key)} is a private key; name the public one beside it, and keep the private "
            "one away from devices."
        )
    try:
        public = load_pem_public_key(content)
    except (ValueError, UnsupportedAlgorithm):
        public = None
    if not isinstance(public, Ed25519PublicKey):
        raise UsageError(
            f"{_shown(key)} is no Ed25519 public key in PEM form; name the .pub file that "
            "`dermedge sign --new-key` wrote."
        )
    return public


def _read(key: str | os.PathLike[str]) -> bytes:
    try:
        return Path(key).read_bytes()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise UsageError(
            f"The public key {os.fspath(key)} cannot be read ({reason}); check the path."
        ) from None


def _shown(key: PublicKey) -> str:
    return "the given key" if isinstance(key, bytes) else os.path.basename(os.fspath(key))
