"""The tree of exceptions, and optional dependencies."""

import sys

import pytest

from glassnet import errors
from glassnet.errors import MissingExtraError, require

TREE = [
    ("GlassnetError", Exception),
    ("InputError", errors.GlassnetError),
    ("InputError", ValueError),
    ("ShapeError", errors.InputError),
    ("ConfigError", errors.InputError),
    ("DataError", errors.InputError),
    ("ModelFileError", errors.InputError),
    ("NotFiniteError", errors.GlassnetError),
    ("NotFiniteError", ArithmeticError),
    ("MissingExtraError", errors.GlassnetError),
    ("MissingExtraError", ImportError),
    ("GlassnetWarning", UserWarning),
]


@pytest.mark.parametrize(("name", "base"), TREE)
def test_the_tree(name, base):
    assert base in getattr(errors, name).__bases__


def test_the_tree_in_the_docstring_is_the_real_one():
    classes = {name for name, thing in vars(errors).items() if isinstance(thing, type) and issubclass(thing, Exception)}
    assert classes == {name for name, _ in TREE}
    assert all(name in errors.__doc__ for name in classes)


def test_a_config_error_is_not_caught_as_a_data_error():
    assert not issubclass(errors.ConfigError, errors.DataError)


def test_require_imports():
    assert require("xml.dom", extra="plot") is sys.modules["xml.dom"]


@pytest.mark.parametrize("module", ["nosuchpackage", "nosuchpackage.inner"])
def test_require_names_the_package_and_the_extra(module):
    with pytest.raises(MissingExtraError, match=r"nosuchpackage, .*pip install 'glassnet\[plot\]'") as caught:
        require(module, extra="plot")
    assert "nosuchpackage.inner" not in str(caught.value)


def test_require_does_not_blame_the_package_for_what_it_lacks_itself(tmp_path, monkeypatch):
    (tmp_path / "breaks_when_imported.py").write_text("import nosuchpackage\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ModuleNotFoundError, match="nosuchpackage") as caught:
        require("breaks_when_imported", extra="plot")
    assert not isinstance(caught.value, MissingExtraError)
