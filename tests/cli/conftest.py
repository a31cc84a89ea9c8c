"""What the tests of the command line share."""

from types import SimpleNamespace

import pytest

from glassnet.cli import main
from glassnet.messages import use_language


@pytest.fixture
def run(tmp_path, monkeypatch, capsys):
    """A command line run in a folder of its own: its exit code and what it printed."""
    monkeypatch.chdir(tmp_path)

    def run(*words):
        capsys.readouterr()
        code = main([str(word) for word in words])
        out, err = capsys.readouterr()
        return SimpleNamespace(code=code, out=out, err=err)

    yield run
    use_language("en")
