"""Serve a local web page: videos and images dropped onto it are scored, and their result pages shown.

    dfdc serve --weights demo

Open the address that is printed. Files are scored one after the other by `dfdc score --html`, each in a process of its
own, and then deleted. Result pages are deleted when the server stops (Ctrl-C), unless --keep names a folder for them.
Only programs on this machine can connect. --host opens the server to others: anyone who can connect can score files,
without a password or encryption.

Needs the packages starlette and uvicorn: pip install starlette uvicorn.
"""

import argparse
import ipaddress
import socket
import sys
from pathlib import Path

from dfdc.cli.score import positive, read_settings, read_weights
from dfdc.figures.scored.page.upload import upload_page
from dfdc.stages.prediction.verdict import purpose_in_words
from dfdc.system.errors import UserError
from dfdc.system.scratch import temporary_folder
from dfdc.system.words import printable
from dfdc.system.workers.processes import ended_by_signals

MEGABYTE = 10**6
LOOPBACK = ("127.0.0.1", "localhost")
PASSED_ON = ("detector", "device", "workers")  # options of dfdc score


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of ``dfdc serve``."""
    parser.add_argument("--weights", action="append", required=True, type=Path, help="as for dfdc score")
    parser.add_argument("--config", action="append", default=[], type=Path, metavar="YAML", help="as for dfdc score")
    parser.add_argument("--detector", choices=["yunet"], help="as for dfdc score")
    parser.add_argument("--device", choices=["auto", "cpu", "cuda"], help="as for dfdc score")
    parser.add_argument("--workers", type=positive, metavar="N", default=1, help="worker processes; default: 1")
    parser.add_argument("--host", default="127.0.0.1", metavar="ADDRESS", help="default: 127.0.0.1, this machine only")
    parser.add_argument("--port", type=int, default=8000, help="default: 8000; 0 for any free port")
    parser.add_argument("--max-size", type=positive, default=2000, metavar="MB", help="largest file; default: 2000")
    parser.add_argument(
        "--max-seconds",
        type=positive,
        default=600,
        metavar="N",
        help="maximum time to score a file, in seconds; default: 600",
    )
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="keep the result pages in this folder")


def run(options: argparse.Namespace) -> int:
    """Serve until the process is interrupted."""
    try:
        import uvicorn

        from dfdc.cli.scoring.web import Jobs, application
    except ImportError:
        raise UserError("dfdc serve needs the packages starlette and uvicorn: pip install starlette uvicorn") from None
    options.timeout = None
    members = read_weights(options, read_settings(options))  # raises what each file would fail of
    listener = _listen(options.host, options.port)
    most = options.max_size * MEGABYTE
    kept = f"Pages are kept in {options.keep}." if options.keep else "Pages are deleted when the program ends."
    page = upload_page(purpose_in_words(members), most, options.max_seconds, f"Files are deleted once scored. {kept}")
    with ended_by_signals(), listener, temporary_folder("dfdc-serve-") as folder:
        jobs = Jobs(folder, _command(options), options.max_seconds, options.keep and options.keep.absolute())
        hosts = (*LOOPBACK, options.host) if _is_loopback(options.host) else ("*",)
        served = application(page, jobs, most, hosts)
        if not _is_loopback(options.host):
            print("Anyone who can connect to this address can score files.", file=sys.stderr)
        host, port = listener.getsockname()[:2]
        print(printable(f"http://{host}:{port}/ (Ctrl-C to stop)"), flush=True)
        config = uvicorn.Config(served, log_level="warning", timeout_graceful_shutdown=1)
        uvicorn.Server(config).run(sockets=[listener])
    return 0


def _listen(host: str, port: int) -> socket.socket:
    try:
        return socket.create_server((host, port))
    except (OSError, OverflowError) as error:
        reason = f"({error}). Name others (--host, --port)."
        raise UserError(f"No page can be served at {host}, port {port} {reason}") from error


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _command(options: argparse.Namespace) -> list[str]:
    """The command that scores a file, but for the file and where its pages go."""
    words = [sys.executable, "-m", "dfdc", "score"]
    for option, values in (("--weights", options.weights), ("--config", options.config)):
        words += [word for value in values for word in (option, str(value))]
    for name in PASSED_ON:
        if (value := getattr(options, name)) is not None:
            words += [f"--{name}", str(value)]
    return words
