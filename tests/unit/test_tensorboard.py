"""TensorBoard, as docs/training.md calls it: it starts in the environment, and shows what was logged."""

import json
import re
import subprocess
import sys
import time
from pathlib import Path
from urllib.request import ProxyHandler, build_opener

from torch.utils.tensorboard import SummaryWriter


def test_tensorboard_shows_the_records_of_a_training(tmp_path):
    with SummaryWriter(tmp_path / "work/re/0123456789abcdef/tensorboard") as writer:
        writer.add_scalar("course/loss", 0.5, 1)
    program = Path(sys.executable).with_name("tensorboard")
    with subprocess.Popen(
        [program, "--logdir", "work", "--host", "127.0.0.1", "--port", "0"],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as board:
        try:
            said = ""
            while not (address := re.search(r"http://127\.0\.0\.1:\d+/", said)):
                line = board.stdout.readline()
                assert line, said  # it has ended
                said += line
            directly = build_opener(ProxyHandler({}))  # whatever proxy this machine uses
            tags, end = {}, time.monotonic() + 600
            while not tags and time.monotonic() < end:  # it answers before it has read everything
                with directly.open(f"{address[0]}data/plugin/scalars/tags", timeout=600) as answer:
                    tags = json.load(answer)
        finally:
            board.terminate()
    assert {run: list(of_run) for run, of_run in tags.items()} == {"re/0123456789abcdef/tensorboard": ["course/loss"]}
