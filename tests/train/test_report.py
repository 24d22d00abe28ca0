from __future__ import annotations

import argparse
import json
import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from edge_runtime._files import sha256
from edge_runtime.errors import MissingImagesError, RunError, UsageError
from edge_runtime.manifest import Metric, OperatingPoint
from tests.page import Page, check_self_contained
from train.commands import report as command
from train.data.split import group_name
from train.report import plots, write_report
from train.report.evidence import read_answers
from train.report.mistakes import examples
from train.report.render import render_report
from train.report.style import PALETTE
from train.robustness import CORRUPTIONS, SEVERITIES
from train.run import RunFolder

EVIL = "<script>alert(1)</script>"
SECTIONS = (
    "summary", "learning", "confusion", "curves", "calibration", "figures", "subgroups",
    "robustness", "mistakes", "explanations", "data", "configuration",
)  # fmt: skip


@pytest.fixture(scope="module")
def full(run_folder: RunFolder, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The report of a real run with everything in it."""
    out = tmp_path_factory.mktemp("report") / "report.html"
    return write_report(run_folder, out).read_text(encoding="utf-8")


@pytest.fixture
def own_run(run_folder: RunFolder, tmp_path: Path) -> Path:
    """A copy of the run that a test may change."""
    return Path(shutil.copytree(run_folder.folder, tmp_path / "own_run"))


def rewrite(folder: Path, name: str, change: Callable[[str], str]) -> None:
    """Change a file of a run and record its new digest, as a training with such data would."""
    text = change((folder / name).read_text(encoding="utf-8"))
    (folder / name).write_text(text, encoding="utf-8")
    if name != "run.json":
        record = json.loads((folder / "run.json").read_text(encoding="utf-8"))
        record["files"][name] = sha256(text.encode())
        (folder / "run.json").write_text(json.dumps(record), encoding="utf-8")


def test_every_section_and_every_plot_is_there(full):
    page = Page(full)
    assert [found["id"] for found in page.all("section")] == list(SECTIONS)
    drawn = [a["aria-label"] for tag, a in page.tags if tag == "div" and a.get("role") == "img"]
    for start in (
        "Loss by epoch", "Accuracy by epoch", "ROC curves for melanoma",
        "Precision-recall curves for melanoma", "Reliability diagram for melanoma",
    ):  # fmt: skip
        assert any(alt.startswith(start) for alt in drawn), start
    for corruption in CORRUPTIONS.values():
        assert any(alt.startswith(f"{corruption.title}, severity 0 to 5") for alt in drawn)


def test_the_summary_gives_the_three_figures_on_test_with_their_intervals(full, run_folder):
    summary = Page(full[full.index('<section id="summary"') :].split("</section>")[0]).text
    for name in ("melanoma_auc", "melanoma_sensitivity", "melanoma_specificity"):
        metric = run_folder.run.metrics["test"][name]
        assert f"{metric.value:.3f} 95% interval {metric.low:.3f} to {metric.high:.3f}" in summary


def test_the_summary_counts_what_was_missed(full, run_folder):
    test = read_answers(run_folder, "test").predictions
    positive = test.positive("melanoma")
    referred = test.scores("melanoma") >= run_folder.run.operating_points["melanoma"].threshold
    found, missed = int((positive & referred).sum()), int((positive & ~referred).sum())
    assert f"{found} were referred and {missed} missed" in Page(full).text


def test_the_page_asks_no_network_and_runs_no_script(full):
    check_self_contained(full)


def test_every_inner_reference_has_one_target(full):
    page = Page(full)
    ids = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    links = {a[name][1:] for _, a in page.tags for name in ("href", "xlink:href") if name in a}
    links |= set(re.findall(r"url\(#([^)]*)\)", full))
    assert links <= set(ids)


def test_every_picture_has_an_alternative_text(full):
    page = Page(full)
    assert page.photographs
    assert all(found.get("alt") for found in page.all("img"))
    assert full.count("<svg") > len(CORRUPTIONS)
    hidden = [a for a in page.all("svg") if a.get("aria-hidden")]
    labelled = [a for tag, a in page.tags if tag == "div" and a.get("role") == "img"]
    assert len(labelled) + len(hidden) == len(page.all("svg"))


def test_the_page_says_what_it_is_and_that_generated_images_say_nothing_of_patients(full):
    text = Page(full).text
    assert "Research software, not a medical device" in text
    assert "none of these figures says anything about patients" in text


def test_data_of_patients_get_no_such_banner(own_run):
    rewrite(own_run, "run.json", lambda text: text.replace('"generated"', '"HAM10000"'))
    page = Page(render_report(RunFolder.open(own_run)))
    assert "Generated images" not in page.text
    assert "HAM10000" in page.text


def test_every_setting_and_version_is_listed(full, run_folder):
    text = Page(full).text
    for name, value in vars(run_folder.run.config).items():
        assert f"{name} {value}" in text
    for name, version in run_folder.run.versions.items():
        assert f"{name} {version}" in text


def test_the_confusion_matrix_counts_every_test_image(full, run_folder):
    section = full[full.index('<section id="confusion"') :].split("</section>")[0]
    cells = [int(count.replace(",", "")) for count in re.findall(r"<small>([\d,]+)", section)]
    assert len(cells) == len(run_folder.run.labels) ** 2
    assert sum(cells) == sum(run_folder.run.counts["test"].values())


def test_robustness_has_a_figure_for_every_corruption_and_severity(full):
    section = full[full.index('<section id="robustness"') :].split("</section>")[0]
    table = section[section.index("<table") : section.index("</table>")]
    body = table[table.index("<tbody") :]
    assert body.count("<tr") == len(CORRUPTIONS)
    assert len(re.findall(r"<td>-?\d\.\d{3}", body)) == len(CORRUPTIONS) * (len(SEVERITIES) + 2)


def test_without_pictures_no_photograph_is_embedded_and_ids_remain(run_folder, tmp_path):
    out = tmp_path / "public.html"
    text = write_report(run_folder, out, pictures=False, robustness=False).read_text()
    page = Page(text)
    assert page.photographs == []
    assert page.all("img") == []
    assert "data:" not in text.replace("img-src data:", "")
    assert "<svg" in text
    answered = read_answers(run_folder, "test")
    threshold = run_folder.run.operating_points["melanoma"].threshold
    worst = examples(answered, "melanoma", threshold).false_alarms[0]
    assert worst.image_id in page.text
    assert "leaves out all pictures of lesions" in page.text


def test_groups_of_like_pictures_are_not_called_lesions(full, run_folder, tmp_path, monkeypatch):
    assert "unlike photographs" not in full
    ids = sorted({row.lesion_id for row in run_folder.rows()})
    rows = [
        replace(row, lesion_id=group_name(ids.index(row.lesion_id)))
        if row.split == "train"
        else row
        for row in run_folder.rows()
    ]
    monkeypatch.setattr(RunFolder, "rows", lambda _: rows)
    text = write_report(run_folder, tmp_path / "r.html", pictures=False, robustness=False)
    shown = Page(text.read_text()).text
    lesions = {
        split: len({row.lesion_id for row in rows if row.split == split})
        for split in ("train", "val", "test")
    }
    assert f"lesions 0 {lesions['val']} {lesions['test']}" in shown
    assert f"unlike photographs whose lesions are not known {lesions['train']} 0 0" in shown
    assert "No lesion is known to be on two sides of the split" in shown


def test_when_the_images_are_gone_the_report_says_so_and_does_without(run_folder, tmp_path, capsys):
    gone = replace(run_folder, run=replace(run_folder.run, data_folder=str(tmp_path / "gone")))
    text = write_report(gone, tmp_path / "report.html").read_text()
    page = Page(text)
    assert page.photographs == []
    assert "were not where the run had them" in page.text
    assert str(tmp_path) not in text
    assert "say with --data" in capsys.readouterr().err


def test_images_that_moved_are_found_with_data(run_folder, generated, tmp_path):
    moved = shutil.copytree(generated, tmp_path / "moved")
    gone = replace(run_folder, run=replace(run_folder.run, data_folder=str(tmp_path / "gone")))
    out = write_report(gone, tmp_path / "report.html", data=Path(moved), robustness=False)
    assert Page(out.read_text()).photographs


def test_a_wrong_data_folder_is_an_error(run_folder, tmp_path):
    with pytest.raises(MissingImagesError):
        write_report(run_folder, tmp_path / "report.html", data=tmp_path)
    assert not (tmp_path / "report.html").exists()


@pytest.mark.parametrize("pictures", [True, False])
def test_names_from_files_and_tables_are_escaped(own_run, tmp_path, pictures):
    first = next(row for row in RunFolder.open(own_run).rows() if row.split == "test")
    answers = read_answers(RunFolder.open(own_run), "test")
    # Every test image gets an evil id and lesion, so that those that are shown have one.
    ids = {row.image_id: f"{EVIL}{index}" for index, row in enumerate(answers.rows)}
    lesions = {row.lesion_id: f"{EVIL}L{index}" for index, row in enumerate(answers.rows)}

    def evil(text: str) -> str:
        lines = []
        for line in text.splitlines():
            cells = line.split(",")
            lines.append(",".join(ids.get(cell, lesions.get(cell, cell)) for cell in cells))
        return "\n".join(lines) + "\n"

    assert first.lesion_id in lesions
    rewrite(own_run, "split.csv", evil)
    rewrite(own_run, "predictions_test.csv", evil)

    def evil_record(text: str) -> str:
        record = json.loads(text)
        for label in record["labels"]:
            label["name"] = f"{EVIL}{label['code']}"
        record["name"] = record["weights"] = EVIL
        record["data"] |= {"name": EVIL, "description": EVIL, "citation": EVIL, "licence": EVIL}
        record["calibration"]["reason"] = EVIL
        record["versions"][EVIL] = EVIL
        return json.dumps(record)

    rewrite(own_run, "run.json", evil_record)
    from train.evaluation.subgroups import Subgroup

    groups = (Subgroup(EVIL, EVIL, 60, 20, {"melanoma_auc": Metric(0.5, 0.4, 0.6)}),)
    out = write_report(
        RunFolder.open(own_run), tmp_path / "report.html", pictures=pictures, robustness=False
    )
    text = out.read_text()
    assert "<script" not in text
    grouped = render_report(RunFolder.open(own_run), subgroups=groups, subgroup_notes=[EVIL])
    assert "<script" not in grouped
    assert text.count("&lt;script&gt;alert(1)&lt;/script&gt;") > 20
    page = Page(text)
    assert page.all("script") == []
    assert bool(page.photographs) == pictures


def test_text_in_a_plot_is_escaped_and_a_dollar_sign_is_no_formula():
    figures = {"AUC": [Metric(0.9), Metric(0.8)]}
    drawn = plots.robustness_curve(f"{EVIL} $x^2 & more", [0, 1], figures)
    assert "<script" not in drawn.svg
    assert "&lt;script&gt;alert(1)&lt;/script&gt; $x^2 &amp; more" in drawn.svg


def test_plots_follow_the_colours_of_the_page(full):
    light = [colour.light for colour in PALETTE.values()]
    assert len(set(light)) == len(light)
    svgs = "".join(re.findall(r"<svg.*?</svg>", full, re.DOTALL))
    assert "var(--blue)" in svgs
    assert not [colour for colour in light if colour in svgs]


def test_subgroups_are_listed_and_small_ones_are_grey(run_folder):
    from train.evaluation.subgroups import Subgroup

    figures = {"melanoma_auc": Metric(0.812, 0.700, 0.900)}
    groups = (
        Subgroup("age", "30-49", 80, 30, figures),
        Subgroup("age", "70+", 20, 4, figures),
        Subgroup("sex", "female", 90, 9, {}),
    )
    text = render_report(run_folder, subgroups=groups, subgroup_notes=["skin tone is estimated"])
    section = text[text.index('<section id="subgroups"') :].split("</section>")[0]
    rows = re.findall(r"<tr( class=\"few\")?><th scope=\"row\" class=\"name\">([^<]*)", section)
    assert [(name, bool(few)) for few, name in rows] == [
        ("30-49", False), ("70+", True), ("female", True),
    ]  # fmt: skip
    assert "0.812" in section
    assert "skin tone is estimated" in section


def test_a_report_that_fails_leaves_the_earlier_one(own_run):
    rewrite(own_run, "predictions_test.csv", lambda text: text[: text.rindex("\n", 0, -1) + 1])
    (own_run / "report.html").write_text("the earlier one")
    with pytest.raises(RunError, match="other images"):
        write_report(RunFolder.open(own_run), robustness=False)
    assert (own_run / "report.html").read_text() == "the earlier one"
    assert not list(own_run.glob("*.partial"))


def called(*arguments: object) -> int:
    parser = argparse.ArgumentParser()
    command.add_arguments(parser)
    return command.run(parser.parse_args([str(argument) for argument in arguments]))


def test_the_command_writes_report_html_into_the_run_and_the_run_still_opens(own_run, capsys):
    assert called(own_run, "--no-robustness", "--json") == 0
    written = own_run / "report.html"
    assert json.loads(capsys.readouterr().out) == {"report": str(written)}
    assert "Not measured for this report" in Page(written.read_text()).text
    RunFolder.open(own_run).model()


def test_the_command_refuses_a_folder_as_its_output(own_run, tmp_path):
    with pytest.raises(UsageError, match="is a folder"):
        called(own_run, "--out", tmp_path)


def test_a_file_that_cannot_be_written_is_one_sentence(own_run):
    with pytest.raises(UsageError, match=r"run\.json/report\.html cannot be written"):
        called(own_run, "--out", own_run / "run.json" / "report.html", "--no-robustness")


def test_a_data_set_of_two_classes_without_melanoma_is_reported(own_run):
    """Binary data: one question, no second pair of curves."""

    def binary(text: str) -> str:
        record = json.loads(text)
        record["melanoma"] = None
        record["data"]["melanoma"] = ""
        return json.dumps(record)

    rewrite(own_run, "run.json", binary)
    page = Page(render_report(RunFolder.open(own_run)))
    assert "Malignant AUC" in page.text
    assert "ROC curves for melanoma" not in " ".join(a.get("aria-label", "") for _, a in page.tags)


def test_the_operating_point_on_the_roc_curve_is_the_frozen_one(run_folder):
    test = read_answers(run_folder, "test").predictions
    point = OperatingPoint(0.5, 0.9, 0.9, 0.9)
    drawn = plots.roc_curves({"test": test}, "melanoma", point)
    positive, called_at = test.positive("melanoma"), test.scores("melanoma") >= 0.5
    assert f"sensitivity {called_at[positive].mean():.3f}" in drawn.alt
    assert f"specificity {(~called_at[~positive]).mean():.3f}" in drawn.alt
