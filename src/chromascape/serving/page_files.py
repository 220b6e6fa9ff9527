"""The files that the server's page and the static one share. engine.js and sw.js are other ones in each."""

from pathlib import Path

PAGE = Path(__file__).parent / "page"
COMMON = (
    "index.html", "style.css", "start.js", "page.js", "card.js", "compare.js", "intake.js", "zip.js",
    "hint_editor.js", "hint_tool.js", "hint_list.js", "hint_file.js", "history.js", "palette.js", "dots.js",
    "live.js", "live_worker.js", "painting.js", "hints.js", "colors.js", "fullsize.js",
)  # fmt: skip
