"""An exponential moving average of a network's weights."""

import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn


class MovingAverage(AveragedModel):
    """An exponential moving average of all parameters and buffers of a model.

    The same numbers as torch's, which goes through all modules and waits for the GPU at each update. This one collects
    the tensors once, so they must stay the same: weights may be changed and loaded, but not replaced.
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        """Average a model; at each update ``decay`` is the share of the average before."""
        super().__init__(model, multi_avg_fn=get_ema_multi_avg_fn(decay), use_buffers=True)
        self._started: bool | None = None

    @torch.no_grad()
    def update_parameters(self, model: nn.Module) -> None:
        """Take the model's weights into the average; the first ones become the average."""
        if self._started is None:
            self._started = bool(self.n_averaged)
            pairs = [
                (own, of_model.detach()) for own, of_model in zip(_tensors(self.module), _tensors(model), strict=True)
            ]
            self._averaged = [pair for pair in pairs if pair[0].is_floating_point()]
            self._counts = [pair for pair in pairs if not pair[0].is_floating_point()]
        own, of_model = map(list, zip(*self._averaged, strict=True))
        if self._started:
            self.multi_avg_fn(own, of_model, self.n_averaged)
        else:
            torch._foreach_copy_(own, of_model)
        for count, of_model in self._counts:
            count.copy_(of_model)
        self.n_averaged += 1
        self._started = True


def _tensors(model: nn.Module) -> list[torch.Tensor]:
    return [*(parameter.detach() for parameter in model.parameters()), *model.buffers()]
