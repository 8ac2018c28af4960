"""One command of at most nine minutes that shows what a GPU does with this project: proofs first, then measurements.

    python benchmarks/gpu [--out benchmarks/results] [--tiny] [--dsfd-weights FILE]

One table is printed and written to OUT as gpu.md, and with all numbers as gpu.json. Exit status 1 if a proof fails or a
section has an error (the others go on). Networks have random weights, the published settings and the published size;
without a GPU everything is tiny instead, which shows that it runs and no more. The faces come from the demo's packages,
which are fetched once (see dfdc.demo.sources); nothing else needs a network.
"""

import argparse
import json
import os
import sys
import tempfile
import time
from dataclasses import asdict
from pathlib import Path

BENCHMARKS = Path(__file__).resolve().parents[1]
sys.path[0] = str(BENCHMARKS)  # in place of this folder, whose modules have the names of others

from gpu.bench import FULL, TINY, Bench  # noqa: E402
from gpu.rows import FAILED, Row, markdown  # noqa: E402
from gpu.running import SECTIONS, Runner  # noqa: E402

DSFD = BENCHMARKS.parent / "external_data" / "WIDERFace_DSFD_RES152.pth"


def main() -> int:
    """Run all sections; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=BENCHMARKS / "results", help="the folder of the results")
    parser.add_argument("--tiny", action="store_true", help="everything tiny, as without a GPU")
    parser.add_argument("--dsfd-weights", type=Path, help=f"default: {DSFD} if it is there, else random ones")
    parser.add_argument("--sections", nargs="+", choices=[section.title for section in SECTIONS], help="only these")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    weights = options.dsfd_weights or (DSFD if DSFD.is_file() else None)
    sizes = TINY if options.tiny or not _has_gpu() else FULL
    if sizes is TINY:
        print("Everything is tiny: this shows that it runs, and no number says anything about a full-size run.")
    start, found = time.monotonic(), {}
    with tempfile.TemporaryDirectory(prefix="dfdc-gpu-") as folder:
        os.environ["TORCHINDUCTOR_CACHE_DIR"] = f"{folder}/inductor"  # empty, so that compiling takes its whole time
        runner = Runner(Bench(Path(folder), sizes, weights))
        for section in SECTIONS:
            if options.sections and section.title not in (*options.sections, "materials"):
                continue
            begun = time.monotonic()
            found[section.title] = runner.run(section)
            print(f"{section.title}, {time.monotonic() - begun:.1f} s", flush=True)
            for row in found[section.title]:
                print(f"    {row.verdict or '':5} {row.what}: {row.value} {row.unit}  {row.note}".rstrip(), flush=True)
    seconds = time.monotonic() - start
    failed = [row for rows in found.values() for row in rows if row.verdict in FAILED]
    summary = Row("whole run", seconds, "s", note=f"{len(failed)} failed" if failed else "nothing failed")
    found["run"] = [summary]
    table = markdown(found)
    (options.out / "gpu.md").write_text(table, encoding="utf-8")
    rows = {title: [asdict(row) for row in rows] for title, rows in found.items()}
    written = {"sizes": asdict(sizes), "sections": rows, "failed": len(failed)}
    (options.out / "gpu.json").write_text(json.dumps(written, indent=1) + "\n", encoding="utf-8")
    print(f"\n{table}\nwritten to {options.out}/gpu.md and gpu.json")
    return 1 if failed else 0


def _has_gpu() -> bool:
    # By asking the driver and not CUDA, which a process that starts others is not to have in use.
    os.environ["PYTORCH_NVML_BASED_CUDA_CHECK"] = "1"
    import torch

    return torch.cuda.is_available()


if __name__ == "__main__":
    sys.exit(main())
