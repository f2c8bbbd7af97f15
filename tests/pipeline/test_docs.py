"""Snippets of the docs: commands, Python, YAML and what they show, executed as a reader would."""

from __future__ import annotations

import re
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import typer.main
import yaml
from markdown_it import MarkdownIt
from support.pipeline import ROOT, Done, command, msm_process
from support.vendor_files import write_vendor_files

from msm_py.cli import app as _commands  # noqa: F401  (adds the sub-commands)
from msm_py.cli.options import app
from msm_py.experiment import neighbours, variants
from msm_py.experiment.load import from_resolved, load_experiment
from msm_py.ingest.spec import read_spec
from msm_py.lake.lake_yaml import read_settings

PAGES = [
    *map(ROOT.joinpath, ("README.md", "CONTRIBUTING.md", "experiments/README.md")),
    *sorted((ROOT / "docs").glob("**/*.md")),
]
# what stands for the reader's own, in the docs
STANDS_FOR = {
    "PATH": "lake",
    "FILE": "experiments/msm/threshold_grid.yaml",
    "EXPERIMENT.yaml": "experiments/msm/msm_v1_baseline.yaml",
    "my_first.yaml": "my_first.yaml",
}
# commands that no test here executes, and why; their options are checked all the same
NOT_EXECUTED = {
    "--executor ray": "tests/pipeline/test_ray.py has a cluster",
    "--shard": "tests/pipeline/test_sweep.py spreads a sweep",
    "--print-commands": "tests/pipeline/test_sweep.py runs printed commands",
    "--look": "tests/pipeline/test_holdout.py has a hold-out to look at",
    "export mlflow": "tests/pipeline/test_mlflow.py has a server",
    "lake pull": "tests/unit/pull/test_pull.py has vendors",
    "lake fetch": "tests/unit/pull/test_s3.py has a storage",
    "lakes/lake": "what was fetched",
    "msm status": "tests/pipeline/test_status.py asks; sample lakes are old",
    "--as-of": "tests/pipeline/test_ingest.py makes lakes of the past",
    "msm verify msm_v1": "tests/pipeline/test_verify.py verifies; runs here are on several lakes",
    "msm vars": "tests/pipeline/test_build_by_hand.py builds by hand",
    "catalog rebuild": "tests/unit/store/test_publish.py rebuilds",
}
SLOW = ("msm sweep", "check-", "--robust", "--null-markets", "walk_forward", "--no-planted-edge")


class Snippet(NamedTuple):
    """A fenced block of a page, or a command in one."""

    page: str
    line: int
    kind: str
    text: str


def snippets(*kinds: str) -> Iterator[Snippet]:
    for page in PAGES:
        for token in MarkdownIt().parse(page.read_text()):
            if token.type == "fence" and token.info in kinds:
                assert token.map is not None
                name = str(page.relative_to(ROOT))
                yield Snippet(name, token.map[0] + 1, token.info, token.content)


def commands(*programs: str) -> list[Snippet]:
    found = []
    for block in snippets("sh"):
        for line in block.text.replace("\\\n", " ").splitlines():
            words = re.split(r"\s+#\s|\s+&&\s|\s+>\s", line)[0].strip()
            if words.split(" ")[0] in programs:
                found.append(block._replace(text=words))
    return found


def named(snippet: Snippet) -> str:
    return f"{snippet.page}:{snippet.line} {snippet.text[:60]}"


# --- Commands ------------------------------------------------------------------------------------


@pytest.mark.parametrize("snippet", commands("msm"), ids=named)
def test_a_command_has_the_options_that_the_docs_give_it(snippet: Snippet) -> None:
    words = shlex.split(snippet.text)[1:]
    found: Any = typer.main.get_command(app)
    context = found.context_class(found, info_name="msm")
    while hasattr(found, "commands"):
        name = words.pop(0) if words and words[0] in found.commands else "run"
        found = found.commands[name]
        context = found.context_class(found, info_name=name, parent=context)
    found.parse_args(context, words)  # raises what a user would see


@pytest.mark.parametrize("snippet", commands("make"), ids=named)
def test_make_has_what_the_docs_call(snippet: Snippet) -> None:
    target = snippet.text.split()[1]
    assert re.search(rf"^{target}:", (ROOT / "Makefile").read_text(), re.MULTILINE)


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of a reader: the experiments, a sample lake, files of vendors."""
    desk = tmp_path_factory.mktemp("desk")
    (desk / "experiments").symlink_to(ROOT / "experiments")
    write_vendor_files(desk)
    (spec,) = (x.text for x in snippets("yaml") if x.text.startswith("name: my_market"))
    (desk / "vendors.yaml").write_text(spec)
    assert said(desk, "msm lake sample lake").code == 0
    return desk


def said(desk: Path, text: str) -> Done:
    words = [STANDS_FOR.get(word, word) for word in shlex.split(text)]
    env = {"MSM_PROJECT_DIR": str(ROOT), "COLUMNS": "100"}
    return msm_process(*words[1:], place=desk, cwd=desk, **env)


WALK = [
    snippet
    for snippet in commands("msm")
    if not any(words in snippet.text for words in NOT_EXECUTED)
]


def walk(*, slow: bool) -> list[Snippet]:
    return [x for x in WALK if any(words in x.text for words in SLOW) == slow]


def test_a_reader_who_types_what_the_docs_say_gets_through(desk: Path) -> None:
    """In their order; what takes long is a slow test."""
    (first,) = (x.text for x in snippets("yaml") if "my_first" in x.text)
    (desk / "my_first.yaml").write_text(first)
    python_of("docs/lake.md", desk)
    for snippet in {x.text: x for x in walk(slow=False)}.values():
        if snippet.text == "msm lake sample lake":
            continue  # it is there
        done = said(desk, snippet.text)
        assert done.code == 0, f"{named(snippet)}: {done.err}"
    python_of("docs/bi.md", desk)


def python_of(page: str, desk: Path) -> None:
    for snippet in snippets("python"):
        if snippet.page == page:
            file = desk / "snippet.py"
            file.write_text(snippet.text)
            done = command([sys.executable, str(file)], desk, cwd=desk)
            assert done.code == 0, f"{named(snippet)}: {done.err}"


@pytest.mark.slow
@pytest.mark.parametrize("snippet", walk(slow=True), ids=named)
def test_what_takes_long_goes_too(desk: Path, snippet: Snippet) -> None:
    text = snippet.text.replace("--null-markets 50", "--null-markets 2")
    done = said(desk, text)
    assert done.code == 0, f"{named(snippet)}: {done.err}"


# --- What is shown -------------------------------------------------------------------------------


def test_the_table_of_the_readme_is_what_a_run_shows(desk: Path) -> None:
    shown = said(desk, "msm run experiments/msm/msm_v1_baseline.yaml").out
    (told,) = (x.text for x in snippets("text") if x.page == "README.md")
    assert len(told.splitlines()) == 5
    assert {line.rstrip() for line in told.splitlines()} <= {x.rstrip() for x in shown.splitlines()}


def test_figures_of_the_readme_are_those_of_the_code() -> None:
    text = (ROOT / "README.md").read_text()
    baseline = load_experiment(ROOT / "experiments" / "msm" / "msm_v1_baseline.yaml")
    assert baseline.window.start is not None
    panel = neighbours.neighbours(baseline, first_date=baseline.window.start, n_days=915)
    n_placebos = sum(x.check == neighbours.PLACEBO for x in panel)
    assert f"({len(panel) - n_placebos} *neighbours*" in text
    assert f"({n_placebos} *placebos*)" in text


# --- YAML ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("snippet", list(snippets("yaml")), ids=named)
def test_yaml_of_the_docs_is_what_it_says(snippet: Snippet, tmp_path: Path) -> None:
    told = yaml.safe_load(snippet.text)
    if told is None or "apiVersion" in told or "models" in told:
        return  # a comment for editors; a job of Kubernetes; what dbt reads beside a model
    if "sweep" in told:
        features = [{"id": "momentum", "weight": 0.1}]
        assert variants.expand({"experiment_id": "a", "features": features, **told}).variants
    elif "experiment_id" in told:
        from_resolved(told)
    elif "schedule" in told or "repos" in told:
        return
    elif "sources" in told and "dataset" in told["sources"][0]:
        return  # tests/unit/pull/test_pull.py reads it
    elif "sources" in told:
        (tmp_path / "spec.yaml").write_text(snippet.text)
        (tmp_path / "ids.csv").touch()
        read_spec(tmp_path / "spec.yaml")
    else:
        (tmp_path / "lake.yaml").write_text(snippet.text)
        read_settings(tmp_path)
