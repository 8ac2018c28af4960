"""Neither the number of cores nor how often a stage runs changes anything of what comes out."""

import hashlib


def made(folder):
    """Hashes of the results in a demo's folder."""
    files = [file for file in (folder / "results").rglob("*") if file.is_file()]
    files += [folder / "submission.csv", folder / "data/test_labels.csv"]
    return {str(file.relative_to(folder)): hashlib.sha256(file.read_bytes()).hexdigest() for file in files}


def test_forced_tracks_end_in_the_same_results(finished_run, tmp_path):
    project = finished_run.copy(tmp_path / "copy")
    done = project.snakemake("--forcerun", "build_tracks")
    assert done.returncode == 0, done.stdout
    assert done.stdout.count("rule build_tracks:") == 2
    assert done.stdout.count("rule train:") == 3
    assert "rule detect_faces:" not in done.stdout
    assert made(project.demo) == made(finished_run.demo)


def test_one_core_gives_the_same_files_as_two(finished_run, tmp_path):
    program = type(finished_run).fresh(tmp_path / "fresh", finished_run.folder)
    # The C library (glibc) fills memory as it is allocated and freed: results that depend on memory which was never
    # written would differ.
    program.environment["GLIBC_TUNABLES"] = "glibc.malloc.perturb=85:glibc.malloc.tcache_count=0"
    done = program.snakemake(cores=1)
    assert done.returncode == 0, done.stdout

    one, two = made(program.demo), made(finished_run.demo)
    assert sorted(one) == sorted(two)
    assert [name for name in one if one[name] != two[name]] == []
    suffixes = {name.split(".", 1)[1] for name in one}
    assert {"parquet", "arrow", "safetensors", "fp16.safetensors", "csv", "json"} <= suffixes
