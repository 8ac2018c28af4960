"""The page into which a person drags videos and images, see ``dfdc serve``."""

from dfdc.figures.scored.page.document import document
from dfdc.figures.scored.page.html import tag
from dfdc.system.words import in_units

# A file is sent as it is. Its type is one that pages of other sites may not send without being asked for it first.
TYPE = "application/octet-stream"
_SCRIPT = """
const drop = document.getElementById("drop"), input = document.getElementById("files");
const list = document.getElementById("list"), most = Number(drop.dataset.most);
const wait = milliseconds => new Promise(done => setTimeout(done, milliseconds));
function send(file, told) {
  return new Promise((done, failed) => {
    const request = new XMLHttpRequest();
    request.open("POST", "score?name=" + encodeURIComponent(file.name));
    request.setRequestHeader("Content-Type", "application/octet-stream");
    request.upload.onprogress = event => told(event.loaded / Math.max(event.total, 1));
    request.onload = () => request.status === 200 ? done(request.responseText) : failed(request.responseText);
    request.onerror = () => failed("The connection was lost.");
    request.send(file);
  });
}
async function score(file) {
  const item = document.createElement("li"), state = document.createElement("span");
  const bar = document.createElement("progress");
  item.append(file.name + ": ", state, " ", bar);
  list.append(item);
  bar.setAttribute("aria-label", "Progress of " + file.name);
  try {
    if (file.size > most) throw "The file is too large.";
    state.textContent = "uploading";
    const job = await send(file, share => { bar.value = share; });
    bar.removeAttribute("value");
    for (;;) {
      const answer = await fetch("jobs/" + job);
      if (!answer.ok) throw await answer.text();
      const {words, page, failed} = await answer.json();
      if (failed) throw words;
      state.textContent = words;
      if (page) {
        const link = document.createElement("a");
        link.href = "jobs/" + job + "/" + page;
        link.textContent = words;
        state.replaceChildren(link);
        break;
      }
      await wait(500);
    }
  } catch (error) {
    state.textContent = String(error);
  }
  bar.remove();
}
async function scoreAll(files) { for (const file of files) await score(file); }
input.addEventListener("change", () => scoreAll([...input.files]).then(() => { input.value = ""; }));
for (const kind of ["dragover", "drop"]) addEventListener(kind, event => event.preventDefault());
addEventListener("drop", event => scoreAll([...event.dataTransfer.files]));
"""


def upload_page(purpose: str, most: int, seconds: int, kept: str) -> str:
    """The page; files of more than ``most`` bytes are refused, and given up after ``seconds``. ``kept`` says what
    happens to files, ``purpose`` warns if the weights were made for a demonstration."""
    return document(
        "Score a video",
        tag("header", tag("h1", "Score a video or an image")),
        tag(
            "main",
            tag("p", purpose, class_="note") if purpose else None,
            tag(
                "p",
                tag("label", "Drop files here, or choose some: ", for_="files"),
                tag("input", type="file", id="files", multiple=""),
                class_="note",
                id="drop",
                data_most=most,
            ),
            tag("ul", id="list", aria_live="polite"),
            tag("p", f"Up to {in_units(most)} and {seconds} s each. {kept}", class_="faint"),
        ),
        script=_SCRIPT,
        connects=True,
    )
