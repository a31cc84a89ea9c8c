"""Known vulnerabilities of the pinned versions, and of the oldest versions that pyproject.toml allows: ``make audit``.

pip-audit asks the index of packages for them. A version it gets no answer about is not one without holes, so it counts
as a failure here; pip-audit itself would pass over it. Exit status: 0 none known, 1 some known, 2 no answer.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from cases.dependencies import ROOT

ASK = ("-m", "pip_audit", "--no-deps", "--disable-pip", "--progress-spinner", "off", "--format", "json")


def audit(requirements: Path) -> tuple[dict[str, Any] | None, str]:
    """pip-audit's report on exact versions, or None and its last words."""
    with tempfile.TemporaryDirectory() as place:
        report = Path(place) / "report.json"
        done = subprocess.run(
            [sys.executable, *ASK, "--output", str(report), "--requirement", str(requirements)],
            capture_output=True,
            text=True,
            check=False,
        )
        if report.exists():
            return json.loads(report.read_text(encoding="utf-8")), ""
    return None, (done.stderr.strip().splitlines() or [f"exit status {done.returncode}"])[-1]


def judged(what: str, report: dict[str, Any] | None, last_words: str = "") -> tuple[int, list[str]]:
    """The exit status that a report stands for, and what is to be said."""
    if report is None:
        return 2, [f"{what}: NOT AUDITED, the vulnerability service did not answer: {last_words}"]
    packages = report["dependencies"]
    skipped = [package for package in packages if "skip_reason" in package]
    known = [(package, hole) for package in packages for hole in package.get("vulns", [])]
    lines = [
        f"{what}: {package['name']} {package['version']} has {hole['id']} "
        f"({', '.join(hole.get('aliases', [])) or 'no other name'}), mended in {', '.join(hole['fix_versions']) or '?'}"
        for package, hole in known
    ]
    if skipped or not packages:
        why = skipped[0]["skip_reason"] if skipped else "the list is empty"
        lines.append(f"{what}: NOT AUDITED are {len(skipped)} of {len(packages)} packages: {why}")
    if not lines:
        lines.append(f"{what}: no known vulnerabilities in {len(packages)} packages")
    return 1 if known else 2 if skipped or not packages else 0, lines


def main() -> int:
    """Ask about both lists."""
    bounds = subprocess.run(
        [sys.executable, "-m", "cases.dependencies"], stdout=subprocess.PIPE, text=True, check=True
    ).stdout
    with tempfile.TemporaryDirectory() as place:
        oldest = Path(place) / "lower-bounds.txt"
        oldest.write_text(bounds, encoding="utf-8")
        lists = {"pinned versions": ROOT / "constraints.txt", "oldest versions allowed": oldest}
        results = [judged(what, *audit(path)) for what, path in lists.items()]
    for _, lines in results:
        sys.stdout.write("\n".join(lines) + "\n")
    return max((status for status, _ in results), key=[0, 2, 1].index)


if __name__ == "__main__":
    sys.exit(main())
