"""Lightning and skorch in their plain use: tensors in memory, one by one through a DataLoader, nothing augmented."""

import logging
import warnings

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from benchmarks.session import Tick
from benchmarks.sides import loss_of, optimizer_kind, optimizer_of
from benchmarks.vision import torchvision
from benchmarks.workloads import WITHOUT_END, Task


def lightning(task: Task, tick: Tick) -> None:
    """PyTorch Lightning: a LightningModule and a Trainer that logs, shows and keeps nothing."""
    torchvision()  # which torchmetrics imports
    import pytorch_lightning as pl

    logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", module="pytorch_lightning")
    loss = loss_of(task)

    class Module(pl.LightningModule):
        def __init__(self) -> None:
            super().__init__()
            self.network = task.model()

        def training_step(self, batch: list[torch.Tensor], number: int) -> torch.Tensor:
            images, labels = batch
            return loss(self.network(images), labels, images)

        def configure_optimizers(self) -> torch.optim.Optimizer:
            return optimizer_of(task, self.network)

    class Ticks(pl.Callback):
        def on_train_batch_end(self, trainer, module, outputs, batch, number) -> None:
            tick(len(batch[0]))

    trainer = pl.Trainer(
        max_epochs=WITHOUT_END,
        accelerator="cpu" if task.device == "cpu" else "gpu",
        devices=1,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        callbacks=[Ticks()],
    )
    trainer.fit(Module(), DataLoader(_tensors(task), task.batch_size, shuffle=True))


def skorch(task: Task, tick: Tick) -> None:
    """skorch: a NeuralNet with its default callbacks, silent."""
    from skorch import NeuralNet
    from skorch.callbacks import Callback

    class Ticks(Callback):
        def on_batch_end(self, net, batch=None, training=False, **kwargs) -> None:
            tick(len(batch[0]))

    criteria = {"cross_entropy": nn.CrossEntropyLoss, "nll": nn.NLLLoss, "reconstruction": nn.MSELoss}
    name = task.experiment.training.loss.name
    kind, options = optimizer_kind(task)
    net = NeuralNet(
        task.model(),
        criterion=criteria[name],
        optimizer=kind,
        batch_size=task.batch_size,
        max_epochs=WITHOUT_END,
        iterator_train__shuffle=True,
        train_split=None,
        callbacks=[Ticks()],
        verbose=0,
        device=task.device,
        **{key if key == "lr" else f"optimizer__{key}": value for key, value in options.items()},
    )
    images = task.floats()
    net.fit(images, images if name == "reconstruction" else task.images.labels)


def _tensors(task: Task) -> TensorDataset:
    return TensorDataset(task.floats(), task.images.labels)
