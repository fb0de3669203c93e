from torch import nn


class Residual(nn.Module):
    def __init__(self, ins, outs, stride=1, norm=nn.BatchNorm2d):
        super().__init__()
        self.conv1 = nn.Conv2d(ins, outs, 3, stride, 1, bias=False)
        self.bn1 = norm(outs)
        self.conv2 = nn.Conv2d(outs, outs, 3, 1, 1, bias=False)
        self.bn2 = norm(outs)
        self.relu = nn.ReLU(inplace=True)
        self.shortcut = nn.Sequential()
        if stride != 1 or ins != outs:
            self.shortcut = nn.Sequential(nn.Conv2d(ins, outs, 1, stride, bias=False), norm(outs))

    def forward(self, x):
        out = self.relu(self.bn1(self.conv1(x)))
        out = self.bn2(self.conv2(out))
        out += self.shortcut(x)
        return self.relu(out)


class Bottleneck(nn.Module):
    def __init__(self, ins, mid, outs, groups=1, dilation=1):
        super().__init__()
        self.reduce = nn.Conv2d(ins, mid, 1)
        self.conv = nn.Conv2d(mid, mid, 3, padding=dilation, dilation=dilation, groups=groups)
        self.expand = nn.Conv2d(mid, outs, 1)
        self.project = nn.Conv2d(ins, outs, 1) if ins != outs else nn.Identity()

    def forward(self, x):
        return self.project(x) + self.expand(self.conv(self.reduce(x).relu()).relu())
