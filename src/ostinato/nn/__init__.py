"""Layers. ``RNN``, ``LSTM`` and ``GRU`` stand in for those of ``torch.nn``; the rest works on ``Ragged`` batches."""

from ostinato.nn.convolution import BatchNorm, Convolutions
from ostinato.nn.crf import LinearChainCRF
from ostinato.nn.dropout import LockedDropout, WordDropout
from ostinato.nn.embedding import Embedding, OneHot
from ostinato.nn.initialisation import chrono, forget_bias, recurrent_init
from ostinato.nn.pooling import AttentionPooling, Pooling, pool_last, pool_max, pool_mean, pool_sum
from ostinato.nn.random_convolutions import RandomConvolutions
from ostinato.nn.recompute import recompute_through_time
from ostinato.nn.recurrent import GRU, LSTM, RNN, build
from ostinato.nn.stack import RecurrentStack
from ostinato.nn.stream import Stream

__all__ = [
    "GRU",
    "LSTM",
    "RNN",
    "AttentionPooling",
    "BatchNorm",
    "Convolutions",
    "Embedding",
    "LinearChainCRF",
    "LockedDropout",
    "OneHot",
    "Pooling",
    "RandomConvolutions",
    "RecurrentStack",
    "Stream",
    "WordDropout",
    "build",
    "chrono",
    "forget_bias",
    "pool_last",
    "pool_max",
    "pool_mean",
    "pool_sum",
    "recompute_through_time",
    "recurrent_init",
]
