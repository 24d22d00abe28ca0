"""`dermedge sign`: sign a bundle's manifest, or make the key for it."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from edge_runtime._terminal import visible_lines
from edge_runtime.errors import UsageError

SUMMARY = "Sign a bundle so that devices can tell who made it, or make a key for that."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Define the verb's arguments."""
    parser.add_argument("bundle", nargs="?", metavar="BUNDLE")
    parser.add_argument("--key", metavar="KEY.pem", type=Path, help="private key to sign with")
    parser.add_argument("--new-key", metavar="KEY.pem", type=Path,
                        help="write a new private key, and KEY.pub for the devices")  # fmt: skip
    parser.add_argument("--json", action="store_true", help="print what was written as JSON")


def run(arguments: argparse.Namespace) -> int:
    """Make a key, or sign; every file of the bundle is checked against its SHA-256 first."""
    from convert.signing import new_key, readable_by_others, sign

    if (arguments.new_key is None) == (arguments.bundle is None):
        raise UsageError(
            "Say what to do: `dermedge sign BUNDLE --key KEY.pem` or "
            "`dermedge sign --new-key KEY.pem`."
        )
    if arguments.new_key is not None:
        if arguments.key is not None:
            raise UsageError("--new-key makes a key and takes no --key; leave one of them out.")
        made = new_key(arguments.new_key)
        told = {"private": str(made.private), "public": str(made.public),
                "fingerprint": made.fingerprint}  # fmt: skip
        text = (
            f"private key {made.private} (keep it to yourself)\n"
            f"public key  {made.public} (for devices: --require-signature {made.public.name})\n"
            f"fingerprint {made.fingerprint}"
        )
    else:
        if arguments.key is None:
            raise UsageError(
                "No key was named; add `--key KEY.pem`, or make one with "
                "`dermedge sign --new-key KEY.pem`."
            )
        signed = sign(arguments.bundle, arguments.key)
        if readable_by_others(arguments.key):
            warning = f"{arguments.key} can be read by others; run `chmod 600 {arguments.key}`."
            print(visible_lines(warning), file=sys.stderr)
        told = {"file": str(signed.file), "fingerprint": signed.fingerprint}
        text = f"{signed.file}: signed by the key {signed.fingerprint}"
    print(json.dumps(told) if arguments.json else visible_lines(text))
    return 0
