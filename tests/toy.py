"""A small teacher with BN layers that can be folded."""

from mmengine.model import BaseModel
from torch import nn


class Toy(BaseModel):
    """Two pairs of convolution and BN, and a dropout; ``shared`` uses one convolution in both."""

    def __init__(self, shared=False):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(3, 3, 3), nn.BatchNorm2d(3)
        self.conv2 = self.conv1 if shared else nn.Conv2d(3, 3, 3)
        self.bn2, self.drop = nn.BatchNorm2d(3), nn.Dropout(0.5)
        for bn, mean in ((self.bn1, 1.0), (self.bn2, -2.0)):
            bn.running_mean.fill_(mean)
            bn.running_var.fill_(0.3)

    def forward(self, inputs, data_samples=None, mode='tensor'):
        return self.drop(self.bn2(self.conv2(self.bn1(self.conv1(inputs)))))


def norms(module):
    """Return the number of BN layers of a module."""
    return sum(isinstance(m, nn.BatchNorm2d) for m in module.modules())
