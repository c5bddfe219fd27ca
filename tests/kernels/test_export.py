"""`torch.export` of a model with recurrent layers: one operator a layer, and the same numbers."""

from __future__ import annotations

import pytest
import torch

from ostinato import nn
from ostinato.kernels import native

pytestmark = pytest.mark.skipif(native.missing_reason() is not None, reason=str(native.missing_reason()))


class Model(torch.nn.Module):
    """Embedding, recurrent stack, a linear head on the last step."""

    def __init__(self, kind: str, **options: object) -> None:
        super().__init__()
        self.embedding = torch.nn.Embedding(11, 3)
        self.recurrent = getattr(nn, kind)(3, 5, batch_first=True, **options)
        self.head = torch.nn.Linear(self.recurrent.output_size, 2)

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        output, _ = self.recurrent(self.embedding(ids))
        return self.head(output[:, -1])


def recurrent_calls(program: torch.export.ExportedProgram) -> int:
    """How often the program calls the layer's operator, in whichever of its graphs."""
    graphs = [part.graph for part in program.graph_module.modules() if isinstance(part, torch.fx.GraphModule)]
    return sum(node.target is torch.ops.ostinato.recurrent_layer.default for graph in graphs for node in graph.nodes)


@pytest.mark.parametrize("options", [{}, {"num_layers": 2, "bidirectional": True}], ids=str)
@pytest.mark.parametrize("kind", ["RNN", "LSTM", "GRU"])
def test_an_exported_model_has_one_operator_a_layer_and_gives_the_same(kind, options):
    torch.manual_seed(0)
    model = Model(kind, backend="native", **options).eval()
    ids = torch.randint(11, (4, 7))
    program = torch.export.export(model, (ids,))
    assert recurrent_calls(program) == options.get("num_layers", 1)
    other = torch.randint(11, (4, 7))
    for each in (ids, other):
        torch.testing.assert_close(program.module()(each), model(each))


def test_an_exported_projection():
    torch.manual_seed(0)
    model = Model("LSTM", backend="native", proj_size=2).eval()
    ids = torch.randint(11, (4, 7))
    program = torch.export.export(model, (ids,))
    assert recurrent_calls(program) == 1
    torch.testing.assert_close(program.module()(ids), model(ids))


@pytest.mark.parametrize("kind", ["RNN", "LSTM", "GRU"])
def test_batch_and_time_may_be_left_open(kind):
    torch.manual_seed(0)
    layer = getattr(nn, kind)(3, 5, num_layers=2, bidirectional=True, batch_first=True, backend="native").eval()
    axes = {0: torch.export.Dim("N"), 1: torch.export.Dim("L")}
    program = torch.export.export(layer, (torch.randn(4, 7, 3),), dynamic_shapes=(axes,)).module()
    for shape in ((4, 7, 3), (9, 2, 3), (2, 11, 3)):
        x = torch.randn(*shape)
        torch.testing.assert_close(program(x), layer(x))
