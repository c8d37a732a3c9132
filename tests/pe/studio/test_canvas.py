"""The pen: its coordinates, its mirror, its silhouette; smooth curves through all points."""

import numpy as np
import pytest

from pe.studio.canvas import Canvas, Pen, Tones, smooth
from pe.studio.color import NAMED, darken, lighten, mix, shift_hue

RED, BLUE = (200, 0, 0), (0, 0, 200)


def make_pen(**changes) -> Pen:
    values = {
        "canvas": Canvas(100),
        "center": (100.0, 100.0),
        "half": 50.0,
        "tones": Tones(main=RED, accent=BLUE),
        "rng": np.random.default_rng(0),
    }
    return Pen(**(values | changes))


def ink(pen: Pen) -> np.ndarray:
    """Return where something was drawn [H W]."""
    return (np.asarray(pen.canvas.finish()) != 255).any(axis=2)


def test_the_pens_box_is_centered_with_its_foot_below():
    pen = make_pen()
    assert [pen.at(*p) for p in ((0, 0), (-1, -1), (1, 1))] == [(100, 100), (50, 150), (150, 50)]
    pen.rect(-1, -1, 1, 0, RED)
    rows, columns = np.nonzero(ink(pen))
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (50, 75, 25, 75)


def test_a_flipped_pen_draws_the_mirror_image():
    plain, flipped = make_pen(), make_pen(flip=True)
    for pen in (plain, flipped):
        pen.polygon([(-0.8, -0.8), (0.6, -0.2), (-0.2, 0.9)], RED)
        pen.ellipse(0.5, 0.5, 0.3, 0.1, BLUE, angle=30)
    mirrored = ink(plain)[:, ::-1]
    assert np.mean(mirrored != ink(flipped)) < 0.03  # but for the column in the middle


def test_a_silhouette_has_one_color_and_no_eyes():
    pen = make_pen(flat=(9, 9, 9))
    pen.ellipse(0, 0, 0.9, 0.9, RED)
    pen.line([(-0.5, 0), (0.5, 0.2), (0.4, 0.5)], 0.1, BLUE, curved=True)
    pen.eye(0.2, 0.2, 0.2)
    inside = np.asarray(pen.canvas.finish())[40:60, 40:60]
    assert (inside == 9).all()


def test_an_eye_on_a_dark_thing_has_a_ring():
    pens = make_pen(tones=Tones(main=NAMED["black"], accent=RED)), make_pen()
    for pen in pens:
        pen.rect(-1, -1, 1, 1, pen.tones.main)
        pen.eye(0, 0, 0.3)
    left = [np.asarray(pen.canvas.finish())[52, 30:50].sum(axis=1).max() for pen in pens]
    assert left[0] > 600  # red by itself is 200
    assert left[1] < 300


def test_a_smooth_curve_goes_through_its_points():
    points = [(0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (0.0, 1.0)]
    for closed in (True, False):
        curve = smooth(points, closed=closed)
        assert all(any(np.allclose(p, q) for q in curve) for p in points)
    assert len(smooth(points, closed=True)) == 32
    assert smooth(points[:2], closed=False) == points[:2]


def test_shades_lie_between():
    assert mix((0, 0, 0), (200, 100, 50), 0.5) == (100, 50, 25)
    assert sum(darken(RED)) < sum(RED) < sum(lighten(RED))
    assert shift_hue((200, 0, 0), 1 / 3) == pytest.approx((0, 200, 0), abs=2)
