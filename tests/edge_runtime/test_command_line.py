"""The command itself: its verbs, its help, and what is not installed."""

from __future__ import annotations

import tomllib

import pytest

from edge_runtime import __version__, commands
from edge_runtime.commands import main
from tests.conftest import ROOT, Command
from tests.edge_runtime.test_commands import assert_one_line


def test_help_lists_the_verbs_of_all_installed_packages(dermedge: Command):
    done = dermedge("--help", check=0)
    for verb in ("classify", "doctor", "info", "sign", "train", "convert", "check"):
        assert f"\n  {verb} " in done.stdout
    assert "Exit status: 0 done; 1 done" in done.stdout
    assert "2 not done;\n130 interrupted (Ctrl-C)." in done.stdout
    assert done.stderr == ""


def test_verb_of_the_toolkit_is_explained_where_the_runtime_is_alone(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setattr(commands, "_toolkit_verbs", dict)
    assert main(["train", "--data", "x"]) == 2
    told = capsys.readouterr().err
    assert "there is no verb 'train'; the runtime alone is installed here (classify, " in told
    assert "come with the toolkit, from a checkout." in told


def test_interrupted_command_ends_with_the_status_that_the_help_names(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    def interrupt(_: object) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr("edge_runtime.commands.info.run", interrupt)
    assert main(["info", "bundle"]) == 130
    assert capsys.readouterr().err == "dermedge: interrupted.\n"


def test_without_a_verb_the_help_is_shown_and_nothing_done(dermedge: Command):
    assert dermedge(check=2).stdout == dermedge("--help", check=0).stdout


@pytest.mark.parametrize("verb", ["classify", "doctor", "info"])
def test_help_of_a_verb_explains_its_arguments(dermedge: Command, verb: str):
    done = dermedge(verb, "--help", check=0)
    assert done.stdout.startswith(f"usage: dermedge {verb} ")
    assert "--json" in done.stdout


def test_version_is_the_packages(dermedge: Command):
    assert dermedge("--version", check=0).stdout == f"dermedge {__version__}\n"


@pytest.mark.parametrize(
    ("verb", "hint"),
    [
        ("clasify", "did you mean `dermedge classify`?"),
        ("convrt", "did you mean `dermedge convert`?"),
        ("trian", "did you mean `dermedge train`?"),
        ("xyzzy", "see `dermedge --help`."),
        ("", "see `dermedge --help`."),
    ],
)
def test_unknown_verb_gets_a_hint(dermedge: Command, verb: str, hint: str):
    done = dermedge(verb, check=2)
    assert done.stdout == ""
    assert done.stderr == f"dermedge: there is no verb {verb!r}; {hint}\n"


@pytest.mark.parametrize(
    ("words", "part"),
    [
        (("classify", "--thread", "1", "photo.jpg"), "--thread"),
        (("train", "--data", "x", "--learn", "3"), "--learn"),
        (("runs", "compare", "a", "b", "--te"), "--te"),
    ],
)
def test_flags_are_written_out(dermedge: Command, words: tuple[str, ...], part: str):
    told = dermedge(*words, check=2).stderr
    assert_one_line(told)
    assert f"unrecognized arguments: {part}" in told


def test_name_that_no_file_can_have_is_one_sentence(dermedge: Command):
    done = dermedge("audit", "a" * 300, check=2)
    expected = f"dermedge: no file can have a name as long as {'a' * 60}...; give a shorter one.\n"
    assert (done.stdout, done.stderr) == ("", expected)


@pytest.mark.parametrize(
    ("words", "remedy"),
    [
        (
            ["convert"],
            "pip install -c constraints.txt ./edge_runtime '.[convert]'` in the checkout",
        ),
        (["train", "x"], "pip install -c constraints.txt ./edge_runtime '.[train]'` in the check"),
        (["bench"], "pip install -c constraints.txt ./edge_runtime '.[bench]'` in the checkout"),
        (["classify"], "install dermedge-runtime's wheel again, without --no-deps"),
        ([], "install dermedge-runtime's wheel again, without --no-deps"),
    ],
)
def test_missing_package_is_one_sentence_with_the_command_that_installs_it(
    words: list[str], remedy: str, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
):  # fmt: skip
    def without(_: list[str]) -> int:
        raise ModuleNotFoundError("No module named 'absent.part'", name="absent.part")

    monkeypatch.setattr(commands, "_dispatch", without)
    assert main(words) == 2
    told = capsys.readouterr().err
    assert_one_line(told)
    verb = " ".join(["dermedge", *words[:1]])
    assert told.startswith(f"dermedge: `{verb}` needs the package absent, which is not installed; ")
    assert remedy in told


def test_extras_are_those_of_the_toolkit():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    modules = project["entry-points"]["dermedge.verbs"].values()
    assert {module.partition(".")[0] for module in modules} == set(commands.EXTRAS)
    assert set(commands.EXTRAS.values()) <= set(project["optional-dependencies"])
