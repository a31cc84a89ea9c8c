"""What the tests of pictures share: rows for any network, and what a picture looks like when it is rendered."""

import warnings

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.text import Text

from glassnet.network import Network


@pytest.fixture
def batch():
    """A network of given sizes, random biases included, and a batch of 6 rows with classes."""

    def make(*sizes, **options):
        rng = np.random.default_rng(sizes[0])
        network = Network.dense(sizes, **{"bias": "normal", "dtype": "float64", "seed": 3, **options})
        return network, "cross_entropy", rng.normal(size=(6, sizes[0])), rng.integers(0, sizes[-1], 6)

    return make


@pytest.fixture
def rendered(monkeypatch):
    """The texts that a picture draws, each with its box in pixels, after checks that none overlap or leave the page."""

    def render(figure):
        boxes = []

        def record(self, renderer):  # where the letters would be, in place of drawing them
            if self.get_visible() and self.get_text().strip():
                boxes.append((self.get_text(), self.get_window_extent(renderer)))

        with monkeypatch.context() as patch, warnings.catch_warnings():
            warnings.simplefilter("error")
            warnings.filterwarnings("ignore", message="Glyph")  # names in letters that no font here has
            canvas = FigureCanvasAgg(figure)
            patch.setattr(Text, "draw", record)
            canvas.draw()
        width, height = canvas.get_width_height()
        for text, box in boxes:
            inside = box.x0 >= 0 and box.y0 >= 0 and box.x1 <= width and box.y1 <= height
            assert inside, f"{text!r} leaves the page: {box}"
        for i, (text, box) in enumerate(boxes):
            for other, other_box in boxes[:i]:
                across = min(box.x1, other_box.x1) - max(box.x0, other_box.x0)
                down = min(box.y1, other_box.y1) - max(box.y0, other_box.y0)
                assert min(across, down) < 0.5, f"{text!r} and {other!r} overlap by {across:.1f} × {down:.1f} pixels"
        return [text for text, _ in boxes]

    return render
