"""The web application of ``dfdc serve``: files come in, are scored one after the other, and their pages go out."""

import asyncio
import contextlib
import json
import os
import secrets
import shutil
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import FileResponse, HTMLResponse, JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from dfdc.figures.scored.page.names import page_names
from dfdc.figures.scored.page.upload import TYPE
from dfdc.figures.style import percent
from dfdc.system.words import in_units, printable

PATIENCE = 10.0  # seconds in which a process that was asked to end has to
# Pages are shown in no other page, and stay in no cache.
HEADERS = {"Cache-Control": "no-store", "X-Frame-Options": "DENY", "X-Content-Type-Options": "nosniff"}


@dataclass
class Job:
    """A file that waits, is being scored, or has been; ``words`` say which. ``page`` is the name of its page."""

    file: Path
    pages: Path
    words: str = "waiting"
    page: str = ""
    failed: bool = False
    begun: float = field(default_factory=time.monotonic)

    @property
    def is_done(self) -> bool:
        """Whether nothing more will happen."""
        return self.failed or bool(self.page)


class Jobs:
    """Scores files with a command, one after the other, for at most so many seconds each. The files are deleted then.

    Everything is in ``folder``, but for the pages if they are to be kept elsewhere.
    """

    def __init__(self, folder: Path, command: Sequence[str], seconds: float, keep: Path | None) -> None:
        """Take the command without the file and where its pages go."""
        self._folder, self._command, self._seconds, self._keep = folder, command, seconds, keep
        self._turn = asyncio.Lock()
        self._jobs: dict[str, Job] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def find(self, key: str) -> Job | None:
        """A job by its key."""
        return self._jobs.get(key)

    def new(self, name: str) -> tuple[str, Job]:
        """A key, and a job whose file has yet to be written; the name may be anything."""
        key, short = secrets.token_urlsafe(16), page_names([name])[name]
        folder = self._folder / key
        folder.mkdir()
        # No file is called .pages: names of pages begin with no dot.
        kept = self._keep / f"{short}-{key[:6]}" if self._keep else folder / ".pages"
        return key, Job(folder / short, kept)

    def drop(self, job: Job) -> None:
        """Delete what there is of a job, but for pages that are kept."""
        shutil.rmtree(job.file.parent, ignore_errors=True)

    def start(self, key: str, job: Job) -> None:
        """Score a file that is there, when it is its turn."""
        self._jobs[key] = job
        task = asyncio.create_task(self._run(job))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def end(self) -> None:
        """End what is being scored."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _run(self, job: Job) -> None:
        async with self._turn:
            job.words, job.begun, said = "being scored", time.monotonic(), ""
            try:
                said = await self._score(job)
                job.words, job.page = _result(job.pages)
            except TimeoutError:
                job.words, job.failed = f"It took more than {self._seconds:g} s.", True
            except (OSError, ValueError, LookupError):  # there is no page
                job.words, job.failed = printable(said or "It could not be scored."), True
            finally:
                job.file.unlink(missing_ok=True)

    async def _score(self, job: Job) -> str:
        """Run the command; returns what it said on stderr last."""
        pipe, nowhere = asyncio.subprocess.PIPE, asyncio.subprocess.DEVNULL
        words = (*self._command, "--html", str(job.pages), str(job.file))
        environment = os.environ | {"TMPDIR": str(job.file.parent)}
        process = await asyncio.create_subprocess_exec(*words, stdout=nowhere, stderr=pipe, env=environment)
        try:
            _, said = await asyncio.wait_for(process.communicate(), self._seconds)
        finally:
            await _ended(process)
        return said.decode(errors="replace").strip().rpartition("\n")[2]


async def _ended(process: asyncio.subprocess.Process) -> None:
    """End a process if it has not yet: it is asked to, so that it ends its workers, and then made to."""
    for end in (process.terminate, process.kill):
        if process.returncode is None:
            end()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(process.wait(), PATIENCE)


def _result(folder: Path) -> tuple[str, str]:
    """What is said of a file, and the name of its page. Raises OSError, ValueError or LookupError if there is none."""
    (page,) = (path for path in folder.glob("*.html") if path.name != "index.html")
    (video,) = json.loads(page.with_suffix(".json").read_text())["videos"]
    words = f"{video['verdict']}, {percent(video['probability'])}" if video["tracks"] else video["reason"]
    return printable(words), page.name


def application(page: str, jobs: Jobs, most: int, hosts: Sequence[str]) -> Starlette:
    """The application: ``page`` is where files are dragged into, ``most`` the bytes that one may have, ``hosts`` the
    names under which it may be called (a page of another site could give its own name this machine's address)."""

    async def show(_: Request) -> Response:
        return HTMLResponse(page, headers=HEADERS)

    async def score(request: Request) -> Response:
        if request.headers.get("content-type") != TYPE:
            return _refusal(415, f"Send the file as {TYPE}.")
        key, job = jobs.new(request.query_params.get("name", ""))
        try:
            size = 0
            with job.file.open("wb") as file:
                async for chunk in request.stream():
                    size += len(chunk)
                    if size > most:
                        jobs.drop(job)
                        return _refusal(413, f"The file is larger than {in_units(most)}.")
                    file.write(chunk)
        except (OSError, ClientDisconnect) as error:
            jobs.drop(job)
            return _refusal(507, f"The file could not be received: {error}")
        jobs.start(key, job)
        return PlainTextResponse(key, headers=HEADERS)

    async def tell(request: Request) -> Response:
        if (job := jobs.find(request.path_params["key"])) is None:
            return _refusal(404, "This file is no longer known.")
        seconds = "" if job.is_done else f", {time.monotonic() - job.begun:.0f} s"
        return JSONResponse({"words": job.words + seconds, "page": job.page, "failed": job.failed}, headers=HEADERS)

    async def give(request: Request) -> Response:
        job, name = jobs.find(request.path_params["key"]), request.path_params["name"]
        # Of the folder only the files that were made for this one.
        if job is None or name not in (job.page, f"{job.page[:-5]}.json", "index.html") or not job.page:
            return _refusal(404, "There is no such page.")
        return FileResponse(job.pages / name, headers=HEADERS)

    @contextlib.asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        yield
        await jobs.end()

    routes = [
        Route("/", show),
        Route("/favicon.ico", lambda _: Response(status_code=204)),  # browsers ask for it beside JSON
        Route("/score", score, methods=["POST"]),
        Route("/jobs/{key}", tell),
        Route("/jobs/{key}/{name}", give),
    ]
    guard = Middleware(TrustedHostMiddleware, allowed_hosts=list(hosts), www_redirect=False)
    return Starlette(routes=routes, middleware=[guard], lifespan=lifespan)


def _refusal(status: int, words: str) -> Response:
    return PlainTextResponse(printable(words), status, headers=HEADERS)
