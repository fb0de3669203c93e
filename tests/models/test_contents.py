import torch
import torch.nn.functional as F
from torch import nn

from classlab import contract as contracts
from classlab.experiment import Contract
from classlab.models import convnet, era_s6, eva7
from classlab.network.contents import contents
from classlab.network.layer_table import layer_table


def counted(model, shape=(1, 28, 28)):
    found = contents(layer_table(model, shape))
    return {name: count for name, count in found.items() if count and name != "receptive_field"}


def test_era_s6():
    assert counted(era_s6.build((1, 28, 28), 10)) == {
        **{"convolution": 9, "linear": 1, "batch_norm": 9, "dropout": 6, "max_pool": 1, "average_pool": 1},
        **{"global_average_pooling": 1, "activation": 9, "first_layer_filters": 16},
    }


def test_an_average_pool_that_leaves_out_a_border_is_not_global():
    assert "global_average_pooling" not in counted(eva7.build((1, 28, 28), 10, net="net2"))
    assert counted(eva7.build((1, 28, 28), 10, net="net8"))["global_average_pooling"] == 1


class Functional(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.last = nn.Conv2d(1, 8, 3, padding=1), nn.Linear(8, 10)

    def forward(self, images):
        x = F.dropout(F.relu(self.conv(images)), training=self.training)
        return self.last((x + torch.tanh(x)).mean((2, 3)))


def test_function_calls_count_as_their_modules_do():
    assert counted(Functional()) == {
        **{"convolution": 1, "linear": 1, "dropout": 1, "average_pool": 1, "global_average_pooling": 1},
        **{"activation": 2, "skip_connection": 1, "first_layer_filters": 8},
    }


def test_what_a_contract_asks_of_a_network():
    contract = Contract(
        must_contain=["batch_norm", "dropout", "global_average_pooling"],
        must_not_contain=["linear"],
        layers={"convolution": 9, "max_pool": 2},
        first_layer_filters=10,
    )
    checks = contracts.check_layers(contract, contents(layer_table(era_s6.build((1, 28, 28), 10), (1, 28, 28))))
    assert [(check.rule, check.passed) for check in checks] == [
        *[("must_contain.batch_norm", True), ("must_contain.dropout", True)],
        *[("must_contain.global_average_pooling", True), ("must_not_contain.linear", False)],
        *[("layers.convolution", True), ("layers.max_pool", False), ("first_layer_filters", False)],
    ]
    assert [check.sentence for check in checks[3:]] == [
        "1 linear layer, none allowed: not kept",
        "9 convolution layers, 9 wanted: kept",
        "1 max pool layer, 2 wanted: not kept",
        "16 filters in the first convolution, 10 wanted: not kept",
    ]
    plain = contents(layer_table(nn.Sequential(nn.Flatten(), nn.Linear(784, 10)), (1, 28, 28)))
    sentences = [check.sentence for check in contracts.check_layers(contract, plain)]
    assert sentences[0] == "no batch norm layers, at least one wanted: not kept"
    assert sentences[-1] == "no convolution, 10 wanted: not kept"
    assert contracts.check_layers(Contract(), plain) == []
    assert contents(layer_table(convnet.build((3, 32, 32), 10), (3, 32, 32)))["first_layer_filters"] == 6


def test_depthwise_dilated_and_strided_convolutions_and_the_field_of_the_last():
    model = nn.Sequential(
        nn.Conv2d(1, 4, 3, stride=2), nn.Conv2d(4, 4, 3, groups=4), nn.Conv2d(4, 8, 3, dilation=2, groups=2),
        nn.Flatten(), nn.Linear(392, 10),
    )  # fmt: skip
    found = contents(layer_table(model, (1, 28, 28)))
    kinds = ("depthwise_convolution", "dilated_convolution", "strided_convolution")
    assert [found[kind] for kind in kinds] == [1, 1, 1]
    assert found["receptive_field"] == 3 + 2 * 2 + 2 * 4
    wanted = Contract(min_receptive_field=16, must_contain=["depthwise_convolution"])
    assert [(check.passed, check.sentence) for check in contracts.check_layers(wanted, found)] == [
        (True, "1 depthwise convolution layer, at least one wanted: kept"),
        (False, "largest receptive field of a convolution 15 pixels, at least 16 wanted: not kept"),
    ]
    assert contracts.check_layers(Contract(min_receptive_field=15), found)[0].margin == 0
    unknown = contracts.check_layers(Contract(min_receptive_field=15), {**found, "receptive_field": None})[0]
    assert not unknown.passed and unknown.sentence.endswith("not known, at least 15 pixels wanted: not shown")
    assert contracts.is_fixed("min_receptive_field")


def test_a_1x1_after_a_global_pool_has_no_field_of_its_own():
    model = nn.Sequential(nn.Conv2d(1, 4, 5), nn.AdaptiveAvgPool2d(1), nn.Conv2d(4, 10, 1), nn.Flatten())
    assert contents(layer_table(model, (1, 28, 28)))["receptive_field"] == 5
