from .residual import Bottleneck, Residual

__all__ = ["Bottleneck", "Residual"]
