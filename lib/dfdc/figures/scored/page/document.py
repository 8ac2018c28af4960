"""What all pages share: their head, their style, and that they load and send nothing."""

import base64
import hashlib

from dfdc.figures.scored.page.html import Html, tag

# By this a page of another origin, which must not be overwritten, is told from an index of an earlier run.
GENERATOR = "dfdc score --html"

_STYLE = """
:root {
  color-scheme: light dark;
  --ground: #ffffff; --panel: #f4f4f2; --ink: #1c1c1c; --faint: #5a5a5a; --line: #d0d0cc; --link: #00598c;
  --real: #00598c; --uncertain: #565656; --fake: #a64200;
}
@media (prefers-color-scheme: dark) {
  :root {
    --ground: #16181a; --panel: #212427; --ink: #ececea; --faint: #aeb2b5; --line: #43484c; --link: #83c8f5;
    --real: #83c8f5; --uncertain: #c3c3c3; --fake: #ffa366;
  }
}
* { box-sizing: border-box; }
body {
  margin: 0 auto; padding: 1rem 1.25rem 3rem; max-width: 68rem; background: var(--ground); color: var(--ink);
  font: 1rem/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "DejaVu Sans", sans-serif;
}
h1 { font-size: 1.6rem; line-height: 1.25; margin: .5rem 0 1rem; overflow-wrap: anywhere; }
h2 { font-size: 1.25rem; margin: 2.5rem 0 .5rem; padding-top: .75rem; border-top: 1px solid var(--line); }
h3 { font-size: 1rem; margin: 1.5rem 0 .5rem; }
p, ul { max-width: 46rem; }
li { margin-bottom: .35rem; }
a { color: var(--link); }
:focus-visible { outline: 3px solid var(--link); outline-offset: 2px; }
.faint, figcaption, caption { color: var(--faint); font-size: .9rem; }
.verdict { display: flex; flex-wrap: wrap; gap: 0 1rem; font-size: 1.75rem; font-weight: 700; margin: 0; }
.real { color: var(--real); } .uncertain, .none { color: var(--uncertain); } .fake { color: var(--fake); }
.word { font-weight: 600; white-space: nowrap; }
.scale { display: block; width: 100%; max-width: 46rem; height: 3.4rem; margin: .5rem 0; }
.scale .real { fill: #0072b2; } .scale .uncertain { fill: #8a8a8a; } .scale .fake { fill: #d55e00; }
.scale .mark { fill: var(--ink); }
.scale text { fill: var(--ink); font-size: 12px; }
figure { margin: 0; }
figure img { display: block; }
.frame img { width: auto; height: auto; min-width: min(100%, 30rem); max-width: 100%; max-height: 80vh; }
.lines img { width: 100%; height: auto; }
.lines { overflow-x: auto; }
.lines img { min-width: 40rem; background: #ffffff; }
.faces { display: grid; grid-template-columns: repeat(4, minmax(0, 15rem)); gap: 1rem; }
.faces img { width: 100%; height: auto; }
.faces img + img { margin-top: .25rem; }
.faces b { display: block; color: var(--ink); }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
caption { text-align: left; padding: .25rem 0; }
th, td { text-align: left; vertical-align: top; padding: .35rem .9rem .35rem 0; border-bottom: 1px solid var(--line); }
thead th { vertical-align: bottom; font-size: .9rem; }
tbody th { font-weight: 400; }
code, pre { font-family: ui-monospace, "DejaVu Sans Mono", monospace; font-size: .85rem; overflow-wrap: anywhere; }
pre { background: var(--panel); padding: .75rem; overflow-x: auto; overflow-wrap: normal; }
details { margin: .75rem 0; }
summary { cursor: pointer; }
.facts { margin-bottom: 1rem; }
.facts th { white-space: nowrap; color: var(--faint); padding-right: 1.25rem; }
.facts td { overflow-wrap: anywhere; }
.wide td, .wide th { min-width: 5.5rem; }
.long { display: block; min-width: 14rem; }
.note { background: var(--panel); border-left: .3rem solid var(--uncertain); padding: .6rem .9rem; }
.videos { width: 100%; }
.videos td, .videos th { vertical-align: middle; }
.videos tbody th { overflow-wrap: anywhere; min-width: 9rem; }
.videos .number { text-align: right; }
.videos img { display: block; width: 4rem; height: 4rem; }
.videos button {
  font: inherit; font-weight: 600; color: var(--link); background: none; border: 0; padding: .25rem 0; cursor: pointer;
  text-align: inherit;
}
.videos button::after { content: " \\2195"; }
[aria-sort=ascending] button::after { content: " \\2191"; }
[aria-sort=descending] button::after { content: " \\2193"; }
@media (max-width: 40rem) {
  body { padding: .5rem .75rem 2rem; }
  .verdict { font-size: 1.4rem; }
  .minor { display: none; }
  .word { white-space: normal; }
  .videos tbody th { min-width: 6rem; }
  .videos img { width: 3rem; height: 3rem; }
  th, td { padding-right: .6rem; }
  .facts tr, .facts th, .facts td { display: block; border: 0; padding: 0; }
  .facts td { padding-bottom: .6rem; }
  .faces { grid-template-columns: 1fr 1fr; }
}
@media (max-width: 23rem) {
  .videos :is(th, td):first-child:not([scope=row]) { display: none; }
}
@media print {
  :root {
    color-scheme: light;
    --ground: #fff; --panel: #fff; --ink: #000; --faint: #333; --line: #aaa; --link: #000;
    --real: #00598c; --uncertain: #444; --fake: #a64200;
  }
  body { max-width: none; padding: 0; font-size: 10pt; }
  .lines img { min-width: 0; }
  .minor { display: table-cell; }
  .videos button::after { content: ""; }
  figure, tr { break-inside: avoid; }
  h2, h3 { break-after: avoid; }
  .faces { grid-template-columns: repeat(4, 1fr); }
}
"""


def document(title: str, *body: Html, script: str = "", kept: Html | None = None, connects: bool = False) -> str:
    """A whole page; ``kept`` is a further element of its head. Its content security policy allows its own style and
    script, pictures within the page, and nothing else; if it ``connects``, requests to where it comes from."""
    policy = {
        "default-src": "'none'",
        "img-src": "data:",
        "style-src": _hash(_STYLE),
        "script-src": _hash(script) if script else "'none'",
        "base-uri": "'none'",
        "form-action": "'none'",
        **({"connect-src": "'self'"} if connects else {}),
    }
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", http_equiv="Content-Security-Policy", content="; ".join(map(" ".join, policy.items()))),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="referrer", content="no-referrer"),
        tag("meta", name="generator", content=GENERATOR),
        kept,
        tag("title", title),
        tag("link", rel="icon", href="data:,"),
        tag("style", Html(_STYLE)),
    )
    program = tag("script", Html(script)) if script else None
    return f"<!DOCTYPE html>\n{tag('html', head, tag('body', *body, program), lang='en')}\n"


def _hash(content: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()}'"
