"""Train a click model in PyTorch, one of ours or of the user's own, on one rank of many."""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from tandem.artifacts import write_config
from tandem.batches.columns import LABEL, ColumnRows, Floats, IdDropout, Ints
from tandem.custom_models import build_by_path
from tandem.distributed.ranks.communicator import Communicator
from tandem.distributed.ranks.events import Emit
from tandem.errors import UserError
from tandem.models.click import network
from tandem.models.click.config import ClickConfig
from tandem.models.click.job import ClickJob
from tandem.models.click.rows import click_rows
from tandem.models.click.training import train_click
from tandem.models.click.validation import click_metrics
from tandem.training.phases import Training
from tandem.training.task import Metrics, Phase
from tandem.training.torch.trainer import TorchTask, TorchTrainer, columns_of

MODEL_FILE = "model.safetensors"
BLOCK = 4096


def train_torch_click(job: ClickJob, communicator: Communicator, emit: Emit) -> Training[TorchTask]:
    """The whole job of a rank; see :func:`tandem.models.click.training.train_click`."""
    return train_click(TorchTrainer, torch_task, save_model, job, communicator, emit)


def torch_task(job: ClickJob, phase: Phase, communicator: Communicator) -> TorchTask:
    """A new model, this rank's rows of a phase, the loss and the validation.

    Raises UserError where the builder does not build what it should, or the rows are not fit to train on.
    """
    parameters, hold_out = job.parameters, phase == "search"
    training, watched = click_rows(job, communicator.rank, communicator.size, hold_out=hold_out)
    model = build_model(job.config, job.seed)
    names = (*parameters.model.id_columns, *parameters.model.continuous)
    bf16 = parameters.precision == "bf16"
    validated = hold_out and parameters.validation_fraction > 0.0

    def summed_loss(batch: tuple[Ints, Floats]) -> Tensor:
        columns = columns_of(training.int_names, training.float_names, *batch)
        logits = model({name: columns[name] for name in names}).reshape(-1).float()
        return nn.functional.binary_cross_entropy_with_logits(logits, columns[LABEL].float(), reduction="sum")

    def metrics() -> Metrics:
        return click_metrics(lambda rows: predicted(model, rows, names, bf16=bf16), watched, communicator)

    return TorchTask(
        name=job.name,
        title=job.config.title,
        model=model,
        rows=IdDropout(training, job.dropped_ids, parameters.unknown_rate),
        fingerprint=training.fingerprint,
        summed_loss=summed_loss,
        bf16=bf16,
        validate=metrics if validated else None,
        identity=job.identity,
    )


def build_model(config: ClickConfig, seed: int) -> nn.Module:
    """The model, or what the builder builds, with initial weights that depend on the seed alone.

    A builder is called as ``build(sizes, continuous, **builder_options)``.
    """
    parameters, sizes = config.parameters, dict(config.sizes)
    torch.manual_seed(seed)
    if parameters.builder is None:
        ours: nn.Module = network(config.tag)(sizes, parameters.model)
        return ours
    arguments = sizes, parameters.model.continuous
    model = build_by_path(f"{config.tag}.builder", parameters.builder, *arguments, **parameters.builder_options)
    _check_built(config, model)
    _check_weights(f"{config.tag}.builder", model)
    return model  # type: ignore[no-any-return]


def _check_weights(where: str, model: nn.Module) -> None:
    """They go into one vector of float32, but for sparse tables."""
    sparse = {id(layer.weight) for layer in model.modules() if getattr(layer, "sparse", False)}
    trained = {name: one for name, one in model.named_parameters() if one.requires_grad}
    for name, parameter in trained.items():
        if parameter.dtype != torch.float32:
            raise UserError(f"{where}: {name} is {parameter.dtype}, expected torch.float32")
    if all(id(parameter) in sparse for parameter in trained.values()):
        raise UserError(f"{where}: the model has no weights but sparse tables: give it a bias")


def _check_built(config: ClickConfig, model: Any) -> None:
    """Two rows go in, two logits must come out."""
    where, framework = f"{config.tag}.builder: {config.parameters.builder}", f"{config.tag}.framework: torch"
    if not isinstance(model, nn.Module):
        raise UserError(f"{where} returned {type(model).__name__}, expected a torch.nn.Module ({framework})")
    rows = {name: torch.zeros(2, dtype=torch.int32) for name in config.sizes}
    rows |= {name: torch.zeros(2) for name in config.parameters.model.continuous}
    model.eval()
    try:
        with torch.no_grad():
            shape = tuple(model(rows).shape)
    except Exception as error:
        first = (str(error).strip().splitlines() or [""])[0]
        raise UserError(f"{where}: the model cannot be called with a dict of columns: {first}") from error
    if shape not in ((2,), (2, 1)):
        raise UserError(f"{where}: the model returns shape {shape} for 2 rows, expected logits of shape (2,) or (2, 1)")


@torch.no_grad()
def predicted(model: nn.Module, rows: ColumnRows, names: tuple[str, ...], *, bf16: bool) -> npt.NDArray[np.float32]:
    """Probabilities of rows, float32 [n], a block at a time."""
    model.eval()
    parts = [np.empty(0, np.float32)]
    for start in range(0, len(rows), BLOCK):
        part = slice(start, start + BLOCK)
        columns = columns_of(rows.int_names, rows.float_names, rows.ints[part], rows.floats[part])
        with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            logits = model({name: columns[name] for name in names})
        parts.append(torch.sigmoid(logits.reshape(-1).float()).numpy())
    return np.concatenate(parts)


def save_model(job: ClickJob, task: TorchTask, folder: Path) -> None:
    """``model.safetensors``, the state in float32, and ``config.json``, by which it is built again; into a folder that
    exists."""
    state = {name: tensor.detach().clone().contiguous() for name, tensor in task.model.state_dict().items()}
    save_file(state, folder / MODEL_FILE)
    write_config(job.config, folder)
