"""The style sheet of a page: light and dark, wide and narrow, screen and paper."""

from __future__ import annotations

from tune_jobs.report.figures.colours import DARK


def style_sheet() -> str:
    """The whole style sheet. The colours of figures are replaced in the dark."""
    swaps = "\n".join(
        f'  svg [{channel}="{light}"] {{ {channel}: {dark}; }}'
        for light, dark in DARK.items()
        for channel in ("fill", "stroke")
    )
    return f"{_SHEET}\n@media screen and (prefers-color-scheme: dark) {{\n{swaps}\n}}\n"


_SHEET = """
:root { color-scheme: light dark; --text: #1f2328; --soft: #57606a; --back: #ffffff; --line: #d0d7de;
  --card: #f6f8fa; --link: #0550ae; }
@media screen and (prefers-color-scheme: dark) { :root { --text: #e6edf3; --soft: #9da7b3; --back: #0d1117;
  --line: #30363d; --card: #161b22; --link: #79b8ff; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--back); color: var(--text); font: 16px/1.5 system-ui, sans-serif; }
header, main, footer { max-width: 820px; margin: 0 auto; padding: 0 20px; }
h1, h2 { line-height: 1.25; overflow-wrap: anywhere; } h1 { font-size: 1.7em; margin: 24px 0 8px; }
h2 { font-size: 1.25em; margin: 40px 0 8px; }
p, li { overflow-wrap: anywhere; } .soft, figcaption { color: var(--soft); } figcaption { font-size: .93em; }
a { color: var(--link); } a:focus-visible, summary:focus-visible, .scroll:focus-visible {
  outline: 2px solid var(--link); outline-offset: 2px; }
.skip { position: absolute; left: -9999px; } .skip:focus { left: 8px; top: 8px; background: var(--back); }
nav ul { display: flex; flex-wrap: wrap; gap: 2px 14px; list-style: none; padding: 0; font-size: .93em; }
figure { margin: 12px 0; } figure svg { display: block; max-width: 100%; height: auto; }
.narrow { display: none; }
details { margin: 6px 0 0; } summary { cursor: pointer; color: var(--link); }
.scroll { overflow: auto; max-height: 420px; border: 1px solid var(--line); border-radius: 6px;
  margin: 8px 0; background: linear-gradient(var(--back) 40%, transparent) top / 100% 32px no-repeat local,
  linear-gradient(transparent, var(--back) 60%) bottom / 100% 32px no-repeat local,
  linear-gradient(#0005, transparent) top / 100% 10px no-repeat,
  linear-gradient(transparent, #0005) bottom / 100% 10px no-repeat; }
.scroll.whole { max-height: none; }
table { border-collapse: collapse; font-size: .87em; width: 100%; }
caption { text-align: left; padding: 6px 10px; color: var(--soft); }
th, td { padding: 4px 10px; text-align: left; border-top: 1px solid var(--line); vertical-align: top; }
th { background: var(--card); position: sticky; top: 0; } td.n { text-align: right; white-space: nowrap;
  font-variant-numeric: tabular-nums; }
.findings { background: var(--card); border: 1px solid var(--line); border-radius: 8px; padding: 4px 18px; }
.findings h3 { margin: 12px 0 2px; font-size: 1em; } .findings ul { margin: 4px 0 12px; padding-left: 20px; }
footer { margin-top: 40px; padding-bottom: 32px; font-size: .87em; color: var(--soft); }
@media screen and (max-width: 640px) { .wide { display: none; } .narrow { display: block; }
  header, main, footer { padding: 0 14px; } }
@media print { :root { --text: #000; --soft: #444; --back: #fff; --line: #bbb; --card: #fff; }
  body { font-size: 11pt; } nav, .skip { display: none; } figure, .findings { break-inside: avoid; }
  h2 { break-after: avoid; } details:not([open]) { display: none; }
  .scroll { max-height: none; overflow: visible; } }
"""
