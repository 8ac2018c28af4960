"""The workflow as a module of another one."""

import os
import subprocess

import pytest
import yaml

IMPORT = """
configfile: "config.yaml"

module dfdc:
    snakefile: {snakefile}
    config: config["dfdc"]
{statement}

use rule * from dfdc{names}

rule count:
    default_target: True
    input: "results/test/tracks/0.parquet"
    output: "counted.txt"
    log: "elsewhere/count.log"
    shell: "wc -c {{input}} > {{output}}"
"""


@pytest.fixture
def importing(program, finished_run, tmp_path):
    """A function that writes a workflow which imports this one, in a folder with data."""

    def written(names="", statement="", snakefile=None):
        snakefile = snakefile or repr(str(program.folder / "Snakefile"))
        text = IMPORT.format(snakefile=snakefile, names=names, statement=statement)
        (tmp_path / "Snakefile").write_text(text)
        full, default = program.own_data_settings(), yaml.safe_load((program.folder / "config.yaml").read_text())
        # Not the whole settings: those that are missing are the module's own.
        changed = {key: value for key, value in full.items() if value != default.get(key)}
        changed["data"] = {**full["data"], "root": str(finished_run.demo / "data")}
        (tmp_path / "config.yaml").write_text(yaml.safe_dump({"dfdc": changed}))
        return program

    return written


@pytest.fixture
def service(program, tmp_path):
    """A hosting service that has the program with a tag, in place of GitHub, and a cache with nothing in it."""
    repository = tmp_path / "service"
    git = ["git", f"--git-dir={repository}", f"--work-tree={program.folder}"]
    author = {f"GIT_{who}_{what}": "somebody" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    author |= dict.fromkeys(("GIT_CONFIG_GLOBAL", "GIT_CONFIG_SYSTEM"), os.devnull)  # which may want a signature
    for command in (["init"], ["add", "."], ["commit", "--message", "all"], ["tag", "v1"]):
        subprocess.run([*git, *command], env=os.environ | author, check=True, capture_output=True)
    address = {"KEY_0": f"url.file://{repository}.insteadOf", "VALUE_0": "https://github.com/somebody/dfdc"}
    program.environment |= {f"GIT_CONFIG_{name}": value for name, value in (address | {"COUNT": "1"}).items()}
    program.environment |= {"XDG_CACHE_HOME": str(tmp_path / "cache"), "GITHUB_TOKEN": ""}
    yield lambda path: f'github("somebody/dfdc", path="{path}", tag="v1")'
    program.environment.clear()


def planned(program, folder, *arguments):
    """The jobs of the importing workflow's plan."""
    return program.bare_plan(*arguments, "--directory", str(folder), "--snakefile", str(folder / "Snakefile"))


@pytest.mark.parametrize("names", ["", " as dfdc_*", " as *_dfdc"])
def test_all_rules_are_imported(importing, world, tmp_path, names):
    def renamed(job):
        rule, *values = job.split()
        return " ".join([names.removeprefix(" as ").replace("*", rule) or rule, *values])

    jobs = world.after("detect_faces", "convert_pretrained", "detect_test_faces")
    assert set(planned(importing(names), tmp_path, renamed("all"))) - {renamed("all")} == set(map(renamed, jobs))


def test_a_repository_at_a_hosting_service_is_planned_as_a_clone_is(importing, service, world, tmp_path):
    program = importing(snakefile=service("workflow/Snakefile"))
    text = (tmp_path / "Snakefile").read_text()
    (tmp_path / "Snakefile").write_text(text.replace("    default_target: True\n", ""))
    assert planned(program, tmp_path) == world.after("detect_faces", "convert_pretrained", "detect_test_faces")


def test_a_job_that_failed_runs_again_under_another_name(importing, service, tmp_path):
    """What was made with the program of a hosting service is up to date for a clone, if it has not failed."""
    program = importing(" as dfdc_*", snakefile=service("workflow/Snakefile"))
    done = program.bare_snakemake("--directory", str(tmp_path), "--snakefile", str(tmp_path / "Snakefile"), "-c2")
    assert done.returncode == 0, done.stdout
    importing(" as dfdc_*")
    assert (tmp_path / "counted.txt").exists()
    assert "Nothing to be done" in program.bare_dry_run(folder=tmp_path).stdout
    failed = tmp_path / ".snakemake/unfinished/track_test_faces/0"
    failed.write_text("1")
    said = program.bare_dry_run(folder=tmp_path).stdout
    assert "rule dfdc_track_test_faces:" in said
    assert "rule dfdc_detect_test_faces:" not in said


def test_what_the_plan_needs_is_checked(importing, tmp_path):
    program = importing(" as dfdc_*")
    (tmp_path / "more.yaml").write_text("dfdc: {data: {root: nowhere}}\n")
    done = program.bare_dry_run("--configfile", "config.yaml", "more.yaml", folder=tmp_path)
    assert done.returncode == 1
    assert f"There are no test videos: the folder {tmp_path / 'nowhere/test_videos'} (data.test_videos" in done.stdout


@pytest.mark.parametrize("statement", ['    prefix: "sub"', '    replace_prefix: {"results": "sub"}'])
def test_results_cannot_have_a_prefix(importing, tmp_path, statement):
    done = importing(statement=statement).bare_dry_run(folder=tmp_path)
    assert done.returncode == 1
    assert "prefix" in done.stdout
    assert "--directory" in done.stdout
    assert "Traceback" not in done.stdout


@pytest.mark.parametrize("path", ["Snakefile", "workflow/Snakefile"])
def test_a_module_needs_the_library_beside_it(importing, program, tmp_path, path):
    file = tmp_path / "elsewhere" / path
    file.parent.mkdir(parents=True)
    file.write_text((program.folder / path).read_text())
    done = importing(snakefile=repr(str(file))).bare_dry_run(folder=tmp_path)
    assert done.returncode == 1
    assert "docs/modules.md" in done.stdout
    assert "Traceback" not in done.stdout


def test_of_a_hosting_service_the_right_file_has_to_be_named(importing, service, tmp_path):
    done = importing(snakefile=service("Snakefile")).bare_dry_run(folder=tmp_path)
    assert done.returncode == 1
    assert 'path="workflow/Snakefile"' in done.stdout
    assert "Traceback" not in done.stdout
