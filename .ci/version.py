"""`python .ci/version.py v1.2.0`: that the package, the changelog and CITATION.cff name this version; prints its notes.

`make release VERSION=1.2.0` calls `prepare`, which writes it into all three.
"""

import datetime
import re
import sys
from pathlib import Path

CHANGELOG, PACKAGE, CITATION = Path("CHANGELOG.md"), Path("src/chromascape/__init__.py"), Path("CITATION.cff")
UNRELEASED = "## [Unreleased]\n"


def main(arguments: list[str]) -> int:
    """Check a tag, or prepare a release."""
    if len(arguments) == 2 and arguments[0] == "prepare":
        prepare(arguments[1], datetime.date.today().isoformat())
        return 0
    version = arguments[0].removeprefix("v")
    found = {
        str(PACKAGE): re.findall(r'^__version__ = "(.+)"$', PACKAGE.read_text("utf-8"), re.MULTILINE),
        str(CITATION): re.findall(r"^version: (.+)$", CITATION.read_text("utf-8"), re.MULTILINE),
        str(CHANGELOG): re.findall(r"^## \[(\d.*?)\] - \d{4}-\d\d-\d\d$", CHANGELOG.read_text("utf-8"), re.MULTILINE)[
            :1
        ],
    }
    wrong = {file: versions for file, versions in found.items() if versions != [version]}
    for file, versions in wrong.items():
        print(f"error: {file} has the version {versions[0] if versions else 'missing'}, not {version}", file=sys.stderr)
    if not wrong:
        print(notes(version))
    return 1 if wrong else 0


def notes(version: str) -> str:
    """The changelog's section of a version, without its heading."""
    after = CHANGELOG.read_text("utf-8").split(f"## [{version}]", 1)[1]
    return re.split(r"^## \[", after.partition("\n")[2], maxsplit=1, flags=re.MULTILINE)[0].strip()


def prepare(version: str, date: str) -> None:
    """Write the version into the package and the citation, and date the changelog's 'Unreleased' with it."""
    if not re.fullmatch(r"\d+\.\d+\.\d+", version):
        sys.exit(f"error: {version}: write a version such as 1.2.0")
    for file, pattern, line in (
        (PACKAGE, r'^__version__ = ".*"$', f'__version__ = "{version}"'),
        (CITATION, r"^version: .*$", f"version: {version}"),
        (CITATION, r"^date-released: .*$", f"date-released: {date}"),
        (CHANGELOG, r"^## \[Unreleased\]$", f"{UNRELEASED}\n## [{version}] - {date}"),
    ):
        file.write_text(re.sub(pattern, line, file.read_text("utf-8"), count=1, flags=re.MULTILINE), encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
