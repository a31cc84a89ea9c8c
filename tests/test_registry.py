"""Components by name, with parameters, as mappings and as objects."""

from dataclasses import dataclass
from typing import ClassVar

import pytest

from glassnet.activations import ACTIVATIONS
from glassnet.errors import ConfigError
from glassnet.initialisers import INITIALISERS
from glassnet.losses import LOSSES
from glassnet.optimisers import OPTIMISERS
from glassnet.registry import Registry
from glassnet.schedules import SCHEDULES
from glassnet.training.early_stopping import CRITERIA


class Shape:
    """What all members of the registry are."""


SHAPES: Registry[Shape] = Registry("shape", Shape)


@SHAPES.register("round", "disc")
@dataclass(frozen=True)
class Circle(Shape):
    radius: float = 1.0
    centre: tuple = (0, 0)
    name: ClassVar[str] = "circle"

    def __post_init__(self):
        if not self.radius > 0:
            raise ConfigError("radius")


@SHAPES.register()
@dataclass(frozen=True)
class UnitSquare(Shape):
    name: ClassVar[str] = "unit_square"


MADE = [
    ("circle", Circle()),
    ("  Circle ", Circle()),
    ("round", Circle()),
    ("DISC", Circle()),
    ("unit-square", UnitSquare()),
    ("unit_square()", UnitSquare()),
    ("circle(radius=2.5)", Circle(2.5)),
    ("disc(radius=2, centre=(1, -1))", Circle(2, (1, -1))),
    ({"name": "circle"}, Circle()),
    ({"name": "round", "radius": 3}, Circle(3)),
    (Circle(4), Circle(4)),
]


@pytest.mark.parametrize(("given", "made"), MADE, ids=str)
def test_make(given, made):
    assert SHAPES.make(given) == made


def test_a_mapping_stays_as_it_is():
    given = {"name": "circle", "radius": 3}
    SHAPES.make(given)
    assert given == {"name": "circle", "radius": 3}


REFUSED = [
    ("triangle", r"unknown shape 'triangle'; choose one of: circle, unit_square\.$"),
    ("circel", r"Did you mean 'circle'\?"),
    ("dicc", r"Did you mean 'disc'\?"),
    ("", "unknown shape ''"),
    ({}, "unknown shape ''"),
    ({"radius": 1}, "unknown shape ''"),
    ("circle(size=2)", "the shape 'circle' has no parameter 'size'; it has: radius, centre"),
    ({"name": "circle", "size": 2}, "has no parameter 'size'"),
    ("circle(name='x')", "has no parameter 'name'"),
    ("unit_square(radius=1)", "has no parameter 'radius'; it has: none"),
    ("circle(radius='wide')", "bad parameters for the shape 'circle'"),
    ("circle(radius=-1)", "radius"),
    ("circle(2)", r"cannot read the shape 'circle\(2\)'; write it as name\(parameter=value\)"),
    ("circle(radius=)", "cannot read the shape"),
    ("circle(radius=1", "cannot read the shape"),
    ("circle(radius=1, radius=2)", "cannot read the shape"),
    ("circle(radius=__import__('os').getpid())", "cannot read the shape"),
    ("circle(**{'radius': 1})", "cannot read the shape"),
    ("circle(radius=1)(2)", "cannot read the shape"),
    ("shapes.circle(radius=1)", "cannot read the shape"),
    (None, "cannot use None as the shape"),
    (True, "cannot use True as the shape"),
    (3, "cannot use 3 as the shape"),
    (["circle"], "cannot use .'circle'. as the shape"),
    (Circle, "cannot use .*Circle.* as the shape"),
]


@pytest.mark.parametrize(("given", "message"), REFUSED, ids=str)
def test_make_refuses(given, message):
    with pytest.raises(ConfigError, match=message):
        SHAPES.make(given)


def test_spec_is_plain_and_goes_back():
    spec = SHAPES.spec(Circle(2.0, (1, 2)))
    assert spec == {"name": "circle", "radius": 2.0, "centre": [1, 2]}


def test_a_users_own_component_has_no_spec():
    class Own(Circle):
        pass

    assert isinstance(SHAPES.make(Own()), Own)
    for own in (Own(), object()):
        with pytest.raises(ConfigError, match="a user's own shape cannot be stored"):
            SHAPES.spec(own)


def test_names_are_without_aliases():
    assert SHAPES.names() == ["circle", "unit_square"]


ALL = [ACTIVATIONS, INITIALISERS, LOSSES, OPTIMISERS, SCHEDULES, CRITERIA]


@pytest.mark.parametrize("registry", ALL, ids=lambda registry: registry.kind)
def test_every_member_of_every_registry_goes_through_its_spec(registry):
    assert len(registry.names()) == len(set(registry.names())) >= 4
    for name in registry.names():
        made = registry.make(name)
        assert registry.make(registry.spec(made)) == made
        assert registry.make(f"{name}()") == made
