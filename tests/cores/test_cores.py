"""The number of cores changes nothing of what comes out."""

import hashlib


def test_one_core_gives_the_same_files_as_two(finished_run, tmp_path):
    program = type(finished_run).fresh(tmp_path / "fresh", finished_run.folder)
    done = program.snakemake(cores=1)
    assert done.returncode == 0, done.stdout

    def made(folder):
        files = [file for file in (folder / "results").rglob("*") if file.is_file()]
        files += [folder / "submission.csv", folder / "data/test_labels.csv"]
        return {str(file.relative_to(folder)): hashlib.sha256(file.read_bytes()).hexdigest() for file in files}

    one, two = made(program.demo), made(finished_run.demo)
    assert sorted(one) == sorted(two)
    assert [name for name in one if one[name] != two[name]] == []
    suffixes = {name.split(".", 1)[1] for name in one}
    assert {"parquet", "arrow", "safetensors", "fp16.safetensors", "csv", "json"} <= suffixes
