import numpy as np

from classlab.drawing import render
from classlab.drawing.codes import code_rows, codes
from classlab.drawing.palette import DARK


def test_each_class_that_is_there_has_its_points_and_a_name():
    places = np.array([[0.0, 0.0], [2.0, 0.0], [4.0, 1.0], [9.0, 9.0]])
    labels = np.array([7, 7, 7, 1])
    names = [f"class {label}" for label in range(8)]
    assert code_rows(places, labels, names)[3] == {"x": 9.0, "y": 9.0, "class": "class 1"}
    chart = codes(places, labels, names, DARK)
    (points,) = chart.to_dict()["layer"]
    assert points["encoding"]["color"]["scale"]["domain"] == ["class 1", "class 7"]
    svg = render.svg(chart)
    assert svg.count(">class 7<") == 1 and svg.count('aria-roledescription="circle"') == 4
