import csv
import io
import re
from xml.etree import ElementTree

import pytest
import torch
from torch import nn

from classlab.drawing import layer_columns, written
from classlab.drawing.blocks import Column, Table
from classlab.drawing.network_diagram import architecture
from classlab.drawing.palette import DARK, PAGE
from classlab.models import convnet, era_s6
from classlab.network.layer_table import layer_table


class Odd(nn.Module):
    """A branch, a shared layer and a name that is no markup."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(1, 2, 3, padding=1)
        self.add_module("<b>&", nn.Conv2d(2, 2, (3, 1), stride=(2, 1)))

    def forward(self, images):
        x = self.conv(images)
        return getattr(self, "<b>&")(torch.cat([x[:, :1], x + 1], 1)[:, 1:])


TABLES = {
    "era-s6": layer_table(era_s6.build((1, 28, 28), 10), (1, 28, 28)),
    "lenet": layer_table(convnet.build((3, 32, 32), 10), (3, 32, 32)),
    "odd": layer_table(Odd(), (1, 9, 7)),
}


@pytest.mark.parametrize("name", TABLES)
def test_the_picture_is_whole_svg_and_nothing_leaves_it(name):
    for palette in (DARK, PAGE):
        root = ElementTree.fromstring(architecture(TABLES[name], palette))
        _, _, width, height = (float(side) for side in root.attrib["viewBox"].split())
        assert palette is DARK or "#" not in "".join(part.attrib.get("fill", "") for part in root)
        for part in root:
            for key, limit in (("x", width), ("cx", width), ("y", height), ("cy", height)):
                assert 0 <= float(part.attrib.get(key, 0)) <= limit
            across = [float(x) for pair in part.attrib.get("points", "").split() for x in pair.split(",")[:1]]
            assert all(0 <= x <= width for x in across)


def test_the_picture_has_a_block_for_each_layer_that_does_not_only_follow():
    texts = [part.text for part in ElementTree.fromstring(architecture(TABLES["era-s6"])) if part.text]
    assert [text for text in texts if text.startswith(("conv", "max", "average", "linear", "image"))] == [
        *("image", "conv 3×3", "conv 3×3", "conv 3×3", "max pool 2×2", "conv 1×1", "conv 3×3", "conv 3×3", "conv 3×3"),
        *("conv 3×3 padding 1", "conv 3×3 padding 1", "average pool 5×5", "linear"),
    ]
    assert texts.count("then norm, ReLU, dropout") == 6 and "16×5×5 · 2,336 parameters" in texts
    assert [text for text in texts if re.fullmatch(r"\d+×\d+|all", text)] == [
        *("1×1", "3×3", "5×5", "7×7", "8×8", "8×8", "12×12", "16×16", "20×20", "24×24", "28×28", "all", "all")
    ]


def test_the_table_for_programs_reads_back():
    rows = list(csv.DictReader(io.StringIO(written.csv_text(layer_columns.for_programs(TABLES["lenet"])))))
    assert sum(int(row["parameters"]) for row in rows) == 62_006
    assert rows[3] == {
        **{"name": "conv2", "kind": "Conv2d", "output_shape": "16x10x10", "kernel_height": "5", "kernel_width": "5"},
        **{"stride_height": "1", "stride_width": "1", "padding_height": "0", "padding_width": "0"},
        **{"parameters": "2416", "multiply_adds": "240000", "field_height": "14", "field_width": "14"},
        **{"field_stride": "2", "field_global": "false"},
        **{"dilation_height": "1", "dilation_width": "1", "groups": "1", "norm_mixes": "false"},
    }
    odd = list(csv.DictReader(io.StringIO(written.csv_text(layer_columns.for_programs(TABLES["odd"])))))[-1]
    assert (odd["kernel_height"], odd["kernel_width"], odd["field_height"], odd["field_width"]) == ("3", "1", "5", "3")
    assert odd["field_stride"] == "2x1"


def test_latex_escapes_what_the_reader_may_have_named():
    table = Table("t", "50 % of a_b & c", (Column("x^2"), Column("n", "count")), (("\\{<b>~", 1234),), ("total", None))
    assert written.latex(table).splitlines() == [
        "% needs \\usepackage{booktabs}",
        "\\begin{table}",
        "  \\caption{50 \\% of a\\_b \\& c}",
        "  \\label{tab:t}",
        "  \\begin{tabular}{lr}",
        "    \\toprule",
        "    x\\textasciicircum{}2 & n \\\\",
        "    \\midrule",
        "    \\textbackslash{}\\{\\textless{}b\\textgreater{}\\textasciitilde{} & 1,234 \\\\",
        "    \\midrule",
        "    total & -- \\\\",
        "    \\bottomrule",
        "  \\end{tabular}",
        "\\end{table}",
    ]
