"""Every dependency has a least version and a pin, none with a known hole; and an audit without answers is a failure."""

import re

import pytest
from packaging.utils import canonicalize_name
from packaging.version import Version

from audit import judged
from cases.dependencies import MINIMA, ROOT, declared, lower_bound, pins

DECLARED, PINS = declared(), pins()


@pytest.mark.parametrize("name", DECLARED)
def test_a_dependency_has_a_least_version_without_known_holes_and_a_pin(name):
    need = DECLARED[name]
    bound = lower_bound(need)
    assert bound is not None, f"{need} has no lower bound"
    assert need.url is None
    pin = PINS.get(canonicalize_name(need.name))
    assert pin is not None, f"{need.name} has no pin in constraints.txt"
    assert pin in need.specifier
    if canonicalize_name(need.name) in MINIMA:
        least, holes = MINIMA[canonicalize_name(need.name)]
        assert bound >= Version(least), f"{need} allows versions with {holes}"


@pytest.mark.parametrize("name", MINIMA)
def test_a_pinned_version_has_no_known_hole(name):
    least, holes = MINIMA[name]
    assert name in PINS, f"{name} is not pinned; strike it out"
    assert PINS[name] >= Version(least), f"{name} {PINS[name]} has {holes}"
    assert re.fullmatch(r"(CVE|PYSEC)-\d{4}-\d+(, (CVE|PYSEC)-\d{4}-\d+)*", holes)


def test_all_pins_are_exact_and_each_is_there_once():
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    assert all(re.fullmatch(r"[A-Za-z0-9._-]+==[A-Za-z0-9.]+", line) for line in lines)
    assert len(PINS) == len(lines)
    assert lines == sorted(lines, key=str.lower)


def package(name="numpy", **more):
    return {"name": name, "version": "1.0", "vulns": [], **more}


HOLE = {"id": "PYSEC-1", "aliases": ["CVE-1"], "fix_versions": ["1.1"]}
REPORTS = [
    ({"dependencies": [package(), package("scipy")]}, 0, "pins: no known vulnerabilities in 2 packages"),
    (
        {"dependencies": [package(vulns=[HOLE]), package("scipy")]},
        *(1, "pins: numpy 1.0 has PYSEC-1 (CVE-1), mended in 1.1"),
    ),
    (
        {"dependencies": [package(), {"name": "scipy", "skip_reason": "not found"}]},
        *(2, "pins: NOT AUDITED are 1 of 2 packages: not found"),
    ),
    (
        {"dependencies": [package(vulns=[HOLE]), {"name": "scipy", "skip_reason": "not found"}]},
        *(1, "pins: NOT AUDITED are 1 of 2 packages: not found"),
    ),
    ({"dependencies": []}, 2, "pins: NOT AUDITED are 0 of 0 packages: the list is empty"),
    (None, 2, "pins: NOT AUDITED, the vulnerability service did not answer: no such host"),
]


@pytest.mark.parametrize(("report", "status", "line"), REPORTS)
def test_an_audit_is_good_only_with_an_answer_about_each(report, status, line):
    assert judged("pins", report, "no such host")[0] == status
    assert judged("pins", report, "no such host")[1][-1] == line
