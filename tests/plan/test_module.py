"""The workflow as a module of another one."""

import pytest
import yaml

IMPORT = """
configfile: "config.yaml"

module dfdc:
    snakefile: "{snakefile}"
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

    def written(names="", statement=""):
        snakefile = program.folder / "Snakefile"
        text = IMPORT.format(snakefile=snakefile, names=names, statement=statement)
        (tmp_path / "Snakefile").write_text(text)
        full, default = program.own_data_settings(), yaml.safe_load((program.folder / "config.yaml").read_text())
        # Not the whole settings: those that are missing are the module's own.
        changed = {key: value for key, value in full.items() if value != default.get(key)}
        changed["data"] = {**full["data"], "root": str(finished_run.demo / "data")}
        (tmp_path / "config.yaml").write_text(yaml.safe_dump({"dfdc": changed}))
        return program

    return written


@pytest.mark.parametrize(("names", "prefix"), [("", ""), (" as dfdc_*", "dfdc_"), (" as *_dfdc", "")])
def test_all_rules_are_imported(importing, world, tmp_path, names, prefix):
    target = names.removeprefix(" as ").replace("*", "all") or "all"
    done = importing(names).bare_dry_run(target, "--quiet", "host", folder=tmp_path)
    assert done.returncode == 0, done.stdout
    for rule in ("detect_faces", "train", "submission", "draw_score_figures"):
        assert f"rule {(names.removeprefix(' as ') or '*').replace('*', rule)}:" in done.stdout
    assert "rule count:" not in done.stdout


def test_a_job_that_failed_runs_again_under_another_name(importing, tmp_path):
    program = importing(" as dfdc_*")
    done = program.bare_snakemake("--directory", str(tmp_path), "--snakefile", str(tmp_path / "Snakefile"), "-c2")
    assert done.returncode == 0, done.stdout
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


def test_a_module_needs_the_library_beside_it(importing, program, tmp_path):
    importing()
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere/Snakefile").write_text((program.folder / "Snakefile").read_text())
    text = (tmp_path / "Snakefile").read_text().replace(str(program.folder), str(tmp_path / "elsewhere"))
    (tmp_path / "Snakefile").write_text(text)
    done = program.bare_dry_run(folder=tmp_path)
    assert done.returncode == 1
    assert "Clone the repository" in done.stdout
    assert "Traceback" not in done.stdout
