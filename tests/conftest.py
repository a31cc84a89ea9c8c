"""What all tests share: messages in English, the accelerator's tests, and no silent skips in CI."""

import os
import warnings
from collections.abc import Iterator

import pytest

NO_ACCELERATOR = "no accelerator that torch can use"
ALLOWED_SKIPS = ("no accelerator", "data folder not here")
"""How the reason of a skip begins that CI accepts. With GLASSNET_CI set, any other skip fails the run."""

refused_skips: list[str] = []


@pytest.fixture(scope="session", autouse=True)
def english() -> Iterator[None]:
    """Messages in English, here and in the processes that tests start."""
    from glassnet.messages import use_language

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GLASSNET_LANG", "en")
        use_language("en")
        yield
        use_language(None)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip the tests marked ``gpu`` where there is none; torch is asked only if such tests are to run."""
    gpu_tests = [item for item in items if item.get_closest_marker("gpu")]
    if gpu_tests and not has_accelerator():
        for item in gpu_tests:
            item.add_marker(pytest.mark.skip(reason=NO_ACCELERATOR))


def has_accelerator() -> bool:
    import torch

    with warnings.catch_warnings(action="ignore"):  # torch may complain of a driver; the answer is then no
        return torch.accelerator.is_available()


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    note_skip(report)


def pytest_collectreport(report: pytest.CollectReport) -> None:
    note_skip(report)


def note_skip(report: pytest.TestReport | pytest.CollectReport) -> None:
    if not report.skipped or hasattr(report, "wasxfail"):
        return
    reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
    reason = reason.removeprefix("Skipped: ")
    if not reason.startswith(ALLOWED_SKIPS):
        refused_skips.append(f"{report.nodeid}: {reason}")


def pytest_sessionfinish(session: pytest.Session) -> None:
    if os.environ.get("GLASSNET_CI") and refused_skips and session.exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if os.environ.get("GLASSNET_CI") and refused_skips:
        terminalreporter.section("skipped, but CI wants them run")
        for line in refused_skips:
            terminalreporter.line(line)
