"""Fuzz the readers of files: read randomly damaged files, and find what ends otherwise than with a message.

    python tests/fuzz/fuzz.py --seconds 3600 [--seed N] [--only READER …] [--keep FOLDER]

A reader may return what it read, or raise its declared error. Whatever else happens is a finding: another exception,
the death of the process, more than 10 s, more than 1 GiB, other data than were written where a checksum should have
told. The mutations depend on the seed and the number of the example alone, so that a finding can be tried again; its
file is kept.
"""

import argparse
import contextlib
import itertools
import resource
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
for folder in (HERE, HERE.parent / "unit", HERE.parent, HERE.parents[1] / "lib"):
    sys.path.insert(0, str(folder))

from mutation import mutated  # noqa: E402
from readers import READERS, try_reader  # noqa: E402

from dfdc.system.workers.pool import Kind, work_on  # noqa: E402

LIMIT, MEMORY = 10, 2**30


@dataclass(frozen=True)
class Work:
    """What a worker does with an example, (reader, number)."""

    folder: Path
    seed: int

    def prepare(self) -> Callable[[tuple[str, int]], str]:
        self.folder.mkdir(parents=True, exist_ok=True)
        sound, expected = {}, {}
        with tempfile.TemporaryDirectory() as own:
            for name, reader in READERS.items():
                path = Path(own) / f"sound{reader.suffix}"
                reader.write(path)
                sound[name] = path.read_bytes()
                if reader.exact:
                    expected[name] = reader.read(path)
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

        def work(example: tuple[str, int]) -> str:
            name, number = example
            path = self.path(name, number)
            path.write_bytes(mutated(sound[name], f"{self.seed} {name} {number}"))
            fault = try_reader(name, path, expected.get(name))
            if resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before > MEMORY / 1024:
                fault = fault or f"more than {MEMORY} bytes of memory"
            if not fault:
                path.unlink()
            return fault

        return work

    def path(self, name: str, number: int) -> Path:
        return self.folder / f"{name.replace(' ', '-')}-{number}{READERS[name].suffix}"


def examples(names: list[str], end: float | None, count: int | None) -> Iterator[tuple[str, int]]:
    for number in itertools.count() if count is None else range(count):
        for name in names:
            if end is not None and time.monotonic() > end:
                return
            yield name, number


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, help="how long to go on")
    parser.add_argument("--examples", type=int, help="how many examples of each reader")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", nargs="+", choices=list(READERS), default=list(READERS))
    parser.add_argument("--keep", type=Path, default=Path("fuzz-findings"), help="where the files of findings are kept")
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    seconds = 60.0 if options.seconds is None and options.examples is None else options.seconds
    end = None if seconds is None else time.monotonic() + seconds
    work = Work(options.keep.absolute(), options.seed)
    tried, found = Counter(), 0
    events = work_on(work.prepare, examples(options.only, end, options.examples), options.workers, LIMIT)
    with contextlib.closing(events):
        for event in events:
            if event.kind is Kind.PART:
                continue
            name, number = event.item
            tried[name] += 1
            if event.value:
                found += 1
                print(f"{name} {number} ({work.path(name, number)}): {event.value}", flush=True)
    print(f"seed {options.seed}: " + ", ".join(f"{name} {count}" for name, count in tried.items()))
    print(f"{sum(tried.values())} damaged files read, {found or 'no'} findings")
    with contextlib.suppress(OSError):
        work.folder.rmdir()  # unless it has findings
    return int(found > 0)


if __name__ == "__main__":
    sys.exit(main())
