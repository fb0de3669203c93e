from torch import nn

print("helpers is imported")


def conv_bn(ins, outs, kernel=3, stride=1, **more):
    return nn.Sequential(
        nn.Conv2d(ins, outs, kernel, stride, padding=kernel // 2, bias=False, **more), nn.BatchNorm2d(outs), nn.ReLU()
    )


class Swish(nn.Module):
    def forward(self, x):
        return x * x.sigmoid()


class DepthwiseSeparable(nn.Module):
    def __init__(self, ins, outs, stride=1):
        super().__init__()
        self.depthwise = nn.Conv2d(ins, ins, 3, stride, 1, groups=ins)
        self.pointwise = nn.Conv2d(ins, outs, 1)

    def forward(self, x):
        return self.pointwise(self.depthwise(x))
