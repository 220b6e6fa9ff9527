"""`make audit`: known holes in the packages of constraints.txt, by pip-audit.

Exit code 0: none is known. 1: there are some, a line each. 2: not every package could be looked up, so none is known.
"""

import json
import subprocess
import sys


def main() -> int:
    """Ask about every pinned package, and say what is known in a few lines."""
    command = [sys.executable, "-m", "pip_audit", "-r", "constraints.txt", "--no-deps", "--disable-pip", "-f", "json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    try:
        packages = json.loads(done.stdout)["dependencies"]
    except (ValueError, KeyError, TypeError):
        last = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
        print(f"error: not audited: pip-audit needs the vulnerability database on pypi.org: {last[:200]}")
        return 2
    holes = [(package, hole) for package in packages for hole in package.get("vulns", [])]
    for package, hole in holes:
        fixed = ", ".join(hole["fix_versions"]) or "no version yet"
        print(f"{package['name']} {package['version']}: {hole['id']}, mended in {fixed}")
    skipped = [package["name"] for package in packages if "skip_reason" in package]
    if holes:
        return 1
    if skipped or not packages:
        print(
            f"error: {len(skipped)} of {len(packages)} packages not audited ({', '.join(skipped[:3])} ...): "
            "the vulnerability database on pypi.org could not be asked about them"
        )
        return 2
    print(f"no known hole in {len(packages)} packages")
    return 0


if __name__ == "__main__":
    sys.exit(main())
