"""NCF as a job describes it, before it is trained."""

import zlib

import torch

from tandem.models.ncf.job import NCFJob
from tandem.models.ncf.network import NeuMF, NeuMFConfig
from tandem.models.ncf.rows import side_tables


def build_ncf(job: NCFJob) -> NeuMF:
    """The model with its initial weights, which depend on the seed alone, and its side features."""
    torch.manual_seed(job.seed)
    config = NeuMFConfig(
        parameters=job.parameters.model,
        users=job.users,
        items=job.items,
        feature_spec_fingerprint=job.feature_spec_fingerprint,
    )
    model = NeuMF(config)
    model.fill(*side_tables(job))
    return model


def digest_of_buffers(model: NeuMF) -> str:
    """Changes with any side feature that the model sees: an age may be corrected without a change of the spec."""
    digest = 0
    for _, values in sorted(model.named_buffers()):
        digest = zlib.crc32(values.numpy().tobytes(), digest)
    return f"{digest:08x}"
