from __future__ import annotations

import json
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from convert.signing import Key, new_key, sign
from edge_runtime import Classifier
from edge_runtime.bundle import Bundle
from edge_runtime.errors import (
    IntegrityError,
    ManifestError,
    MissingExtraError,
    SignatureError,
    UsageError,
)
from tests.conftest import Command
from tests.edge_runtime.changing import edit_manifest, replace_file
from tests.edge_runtime.making import assert_one_sentence
from tests.edge_runtime.small import write_small_bundle


@pytest.fixture
def small(tmp_path: Path) -> Path:
    """A bundle that is not signed yet."""
    return write_small_bundle(tmp_path / "small")


@pytest.fixture
def key(tmp_path: Path) -> Key:
    """A new key."""
    return new_key(tmp_path / "key.pem")


# ---------------------------------------------------------------- keys


def test_private_key_is_its_owners_alone(key: Key):
    assert stat.S_IMODE(key.private.stat().st_mode) == 0o600
    assert key.private.read_text().startswith("-----BEGIN PRIVATE KEY-----")
    assert key.public.name == "key.pub"
    assert key.public.read_text().startswith("-----BEGIN PUBLIC KEY-----")


def test_key_is_never_overwritten(key: Key, tmp_path: Path):
    before = key.private.read_bytes()
    with pytest.raises(UsageError) as caught:
        new_key(key.private)
    assert_one_sentence(caught.value, "there already")
    key.private.unlink()
    with pytest.raises(UsageError, match=r"key\.pub is there already"):
        new_key(key.private)
    assert not key.private.exists()
    key.private.write_bytes(before)
    key.public.unlink()
    with pytest.raises(UsageError, match=r"key\.pem is there already"):
        new_key(key.private)
    assert key.private.read_bytes() == before


@pytest.mark.parametrize("name", ["", "/"])
def test_key_without_a_name_is_refused(name: str):
    with pytest.raises(UsageError, match=r"names no file; name the key, for example KEY\.pem"):
        new_key(Path(name))


def test_key_named_like_a_public_one_is_refused(tmp_path: Path):
    with pytest.raises(UsageError, match="ends like a public key"):
        new_key(tmp_path / "key.pub")
    assert list(tmp_path.iterdir()) == []


# ---------------------------------------------------------------- signing and requiring


def test_signed_bundle_opens_with_the_key_and_without(small: Path, key: Key):
    signed = sign(small, key.private)
    assert signed.file.stat().st_size == 64
    assert signed.fingerprint == key.fingerprint
    assert Bundle.open(small, require_signature=key.public).verify(key.public) == key.fingerprint
    assert Classifier.open(small, require_signature=str(key.public)).variant.name == "tflite_f32"
    assert Classifier.open(small, require_signature=key.public.read_bytes())
    assert Classifier.open(small, require_signature=key.public.read_text())
    assert Classifier.open(Bundle.open(small), require_signature=key.public)
    assert Classifier.open(small)


def test_openssl_agrees(small: Path, key: Key):
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("the command openssl is not installed")
    sign(small, key.private)
    command = [
        openssl, "pkeyutl", "-verify", "-pubin", "-inkey", key.public, "-rawin",
        "-in", small / "manifest.json", "-sigfile", small / "manifest.sig",
    ]  # fmt: skip
    assert subprocess.run(command, capture_output=True).returncode == 0
    (small / "manifest.json").write_bytes((small / "manifest.json").read_bytes() + b"\n")
    assert subprocess.run(command, capture_output=True).returncode != 0


def test_unsigned_bundle_is_refused_where_a_signature_is_required(small: Path, key: Key):
    with pytest.raises(SignatureError) as caught:
        Classifier.open(small, require_signature=key.public)
    assert_one_sentence(caught.value, "has no manifest.sig", "key.pub", "dermedge sign")
    with pytest.raises(SignatureError):
        Classifier.open(Bundle.open(small), require_signature=key.public)


def test_altered_manifest_is_refused_before_it_is_parsed(small: Path, key: Key):
    sign(small, key.private)
    edit_manifest(small, lambda document: document.update(version="6.6.6"))
    assert Bundle.open(small).manifest.version == "6.6.6"
    with pytest.raises(SignatureError) as caught:
        Bundle.open(small, require_signature=key.public)
    assert_one_sentence(caught.value, "manifest was altered, or another key signed it")
    (small / "manifest.json").write_text("not JSON")
    with pytest.raises(ManifestError):
        Bundle.open(small)
    with pytest.raises(SignatureError):
        Bundle.open(small, require_signature=key.public)


@pytest.mark.parametrize("file", ["model.tflite", "golden/0.png", "labels.txt"])
def test_signature_of_the_manifest_covers_every_file_that_is_used(small: Path, key: Key, file: str):
    sign(small, key.private)
    (small / file).write_bytes((small / file).read_bytes() + b"x")
    with pytest.raises(IntegrityError, match=file):
        Classifier.open(small, require_signature=key.public)
    replace_file(small, file, (small / file).read_bytes())  # with a digest that fits
    with pytest.raises(SignatureError):
        Classifier.open(small, require_signature=key.public)


def test_signature_of_another_key_is_refused(small: Path, key: Key, tmp_path: Path):
    other = new_key(tmp_path / "other.pem")
    sign(small, other.private)
    with pytest.raises(SignatureError, match=r"by key\.pub"):
        Classifier.open(small, require_signature=key.public)


@pytest.mark.parametrize("damage", ["bit", "cut", "longer", "empty", "text", "folder"])
def test_damaged_signature_is_refused(small: Path, key: Key, damage: str):
    file = sign(small, key.private).file
    content = file.read_bytes()
    file.unlink()
    if damage == "folder":
        file.mkdir()
    else:
        file.write_bytes(
            {
                "bit": bytes([content[0] ^ 1]) + content[1:],
                "cut": content[:-1],
                "longer": content + b"\n",
                "empty": b"",
                "text": content.hex().encode(),
            }[damage]
        )
    with pytest.raises(SignatureError):
        Bundle.open(small, require_signature=key.public)
    assert Classifier.open(small)


def test_signing_again_replaces_the_signature(small: Path, key: Key, tmp_path: Path):
    other = new_key(tmp_path / "other.pem")
    sign(small, key.private)
    sign(small, other.private)
    assert Bundle.open(small).verify(other.public) == other.fingerprint
    assert [file.name for file in small.iterdir() if "partial" in file.name] == []


@pytest.mark.parametrize("file", ["model.onnx", "golden/1.png", "labels.txt"])
def test_altered_bundle_is_not_signed(small: Path, key: Key, file: str):
    (small / file).write_bytes(b"x")
    with pytest.raises(IntegrityError, match=file):
        sign(small, key.private)
    assert not (small / "manifest.sig").exists()


# ---------------------------------------------------------------- keys that are none


def other_keys(folder: Path, key: Key) -> dict[str, Path]:
    """Files that are no Ed25519 key."""
    from cryptography.hazmat.primitives import serialization as form
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519

    curve = ec.generate_private_key(ec.SECP256R1())
    locked = ed25519.Ed25519PrivateKey.generate()
    contents = {
        "text": b"not a key", "empty": b"",
        "ec private": curve.private_bytes(
            form.Encoding.PEM, form.PrivateFormat.PKCS8, form.NoEncryption()
        ),
        "ec public": curve.public_key().public_bytes(
            form.Encoding.PEM, form.PublicFormat.SubjectPublicKeyInfo
        ),
        "locked": locked.private_bytes(
            form.Encoding.PEM, form.PrivateFormat.PKCS8, form.BestAvailableEncryption(b"word")
        ),
    }  # fmt: skip
    files = {"private": key.private, "public": key.public, "missing": folder / "none.pem"}
    for name, content in contents.items():
        files[name] = folder / f"{name.replace(' ', '_')}.pem"
        files[name].write_bytes(content)
    return files


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("text", "no Ed25519 public key"), ("empty", "no Ed25519 public key"),
        ("ec public", "no Ed25519 public key"), ("private", "is a private key"),
        ("ec private", "is a private key"), ("locked", "is a private key"),
        ("missing", "cannot be read (No such file or directory)"),
    ],
)  # fmt: skip
def test_what_is_no_public_key_is_a_wrong_call(
    small: Path, key: Key, tmp_path: Path, kind: str, words: str
):
    sign(small, key.private)
    with pytest.raises(UsageError) as caught:
        Bundle.open(small, require_signature=other_keys(tmp_path, key)[kind])
    assert_one_sentence(caught.value, words)


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("text", "no Ed25519 private key"),
        ("public", "no Ed25519 private key"),
        ("ec private", "no Ed25519 private key"),
        ("locked", "locked by a password"),
        ("missing", "cannot be read"),
    ],
)
def test_what_is_no_private_key_signs_nothing(
    small: Path, key: Key, tmp_path: Path, kind: str, words: str
):
    with pytest.raises(UsageError) as caught:
        sign(small, other_keys(tmp_path, key)[kind])
    assert_one_sentence(caught.value, words)
    assert not (small / "manifest.sig").exists()


def test_missing_package_is_named_with_its_remedy(
    small: Path, key: Key, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    sign(small, key.private)
    for module in list(sys.modules):
        if module.partition(".")[0] == "cryptography":
            monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, "cryptography", None)
    for call in (
        lambda: Bundle.open(small, require_signature=key.public),
        lambda: sign(small, key.private),
        lambda: new_key(tmp_path / "new.pem"),
    ):
        with pytest.raises(MissingExtraError) as caught:
            call()
        assert_one_sentence(caught.value, '`pip install "dermedge-runtime[sign]"`')
    assert Classifier.open(small)  # which needs no signature


# ---------------------------------------------------------------- the commands


def test_commands_make_a_key_sign_and_require(dermedge: Command, small: Path, tmp_path: Path):
    def call(*words: object, check: int = 0):
        return dermedge(*words, cwd=tmp_path, check=check)

    made = json.loads(call("sign", "--new-key", "me.pem", "--json").stdout)
    assert made["public"] == "me.pub"
    classify = ["classify", "small/golden/0.png", "--model", "small", "--require-signature"]
    refused = call(*classify, "me.pub", check=2)
    assert refused.stderr.startswith("dermedge: The bundle has no manifest.sig")
    assert "signature  none" in call("info", "small").stdout
    told = call("sign", "small", "--key", "me.pem")
    assert told.stdout == f"small/manifest.sig: signed by the key {made['fingerprint']}\n"
    assert told.stderr == ""
    assert "REFER" in call(*classify, "me.pub").stdout
    assert "there, not checked (no key was given)" in call("info", "small").stdout
    info = call("info", "small", "--require-signature", "me.pub").stdout
    assert f"signature  by the key {made['fingerprint']}" in info
    (tmp_path / "me.pem").chmod(0o644)
    assert "me.pem can be read by others" in call("sign", "small", "--key", "me.pem").stderr


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ([], "Say what to do"), (["small"], "No key was named"), (["--key", "a"], "Say what to do"),
        (["small", "--new-key", "a"], "Say what to do"),
        (["--new-key", "a", "--key", "b"], "takes no --key"),
        (["nowhere", "--key", "a"], "nowhere is no folder"),
    ],
)  # fmt: skip
def test_wrong_call_of_sign_is_one_sentence(
    dermedge: Command, small: Path, tmp_path: Path, words: list[str], sentence: str
):
    done = dermedge("sign", *words, cwd=tmp_path, check=2)
    assert sentence in done.stderr
    assert done.stderr.count("\n") == 1
