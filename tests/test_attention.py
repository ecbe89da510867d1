"""The attention networks against their plain definitions: one row, one step and one matrix of weights at a time."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from backcast.nn.attention import AttentionLayer, Dropout
from backcast.nn.embedding import Embedding
from backcast.nn.initialise import initialise
from backcast.nn.lstm import EmbeddedLSTM
from backcast.nn.size import lstm_parameters, width_like
from backcast.nn.t_dmca import TDMCAEncoder
from backcast.nn.transformer import TransformerEncoder
from backcast.objectives import AveragedClassification, Draw, losses
from conftest import make_batch, make_model, row_alone

Network = TransformerEncoder | TDMCAEncoder
KINDS = pytest.mark.parametrize("kind", ["transformer", "t-dmca"])
BLOCK = 4


def make(kind: str, symbols: bool = False) -> Network:
    """A small float64 network; its norms and biases are not what they begin with."""
    embedding = Embedding(5 if symbols else 0, 1 if symbols else 2, 8)
    network: Network
    if kind == "transformer":
        network = TransformerEncoder(embedding, layers=2, heads=2)
    else:
        network = TDMCAEncoder(embedding, layers=4, heads=2, block=BLOCK)
    network = network.double()
    initialise(network, 0)
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter += 0.2 * torch.randn(parameter.shape, generator=generator, dtype=torch.float64)
    return network


def normed(norm: nn.LayerNorm, x: Tensor) -> Tensor:
    deviation = (x.var(dim=-1, correction=0, keepdim=True) + 1e-6).sqrt()
    return (x - x.mean(dim=-1, keepdim=True)) / deviation * norm.weight + norm.bias


def plain_attention(layer: AttentionLayer, x: Tensor, memory: Tensor, visible: Tensor) -> Tensor:
    """x (T, width), memory (M, width), visible (T, M): head by head, with the whole matrix of weights."""
    attention = layer.attention
    size = x.shape[1] // attention.heads
    heads = []
    for head in range(attention.heads):
        rows = slice(head * size, (head + 1) * size)
        query = x @ attention.query.weight[rows].T
        key = memory @ attention.key.weight[rows].T
        value = memory @ attention.value.weight[rows].T
        scores = (query @ key.T / math.sqrt(size)).masked_fill(~visible, -math.inf)
        heads.append(scores.softmax(dim=1) @ value)
    return torch.cat(heads, dim=1) @ attention.output.weight.T


def plain_memory(layer: AttentionLayer, x: Tensor) -> tuple[Tensor, list[int]]:
    """The memory (M, width), and the last step that each of its elements is made of."""
    if layer.shorten is None:
        return x, list(range(len(x)))
    convolution = layer.shorten.convolution
    elements, made_by = [x[0]], [0]
    for last in range(2, len(x), 3):
        element = convolution.bias.clone()
        for tap in range(3):
            element = element + convolution.weight[:, :, tap] @ x[last - 2 + tap]
        elements.append(element)
        made_by.append(last)
    return torch.stack(elements), made_by


def plain_input(network: Network, row: Tensor) -> Tensor:
    table = network.embedding.map
    if isinstance(table, nn.Embedding):
        vectors = [table.weight[int(symbol)] for symbol in row]
    else:
        vectors = [table.weight @ element + table.bias for element in row]
    waves = torch.tensor(
        [
            [wave(t / 10_000 ** (i / 4)) for wave in (math.sin, math.cos) for i in range(4)]
            for t in range(len(row))
        ],
        dtype=torch.float64,
    )
    return torch.stack(vectors) + waves


def plain_outputs(network: Network, row: Tensor) -> Tensor:
    """The outputs (T, 8) of one row without padding."""
    causal = isinstance(network, TDMCAEncoder)
    x = plain_input(network, row)
    for layer in network.layers:
        before = normed(layer.attention_norm, x)
        memory, made_by = plain_memory(layer, before)
        visible = torch.ones(len(x), len(memory), dtype=torch.bool)
        for t in range(len(x)):
            for element, last in enumerate(made_by):
                block = layer.shorten is not None or last // BLOCK == t // BLOCK
                visible[t, element] = (last <= t and block) if causal else True
        x = x + plain_attention(layer, before, memory, visible)
        hidden = normed(layer.forward_norm, x) @ layer.first.weight.T + layer.first.bias
        x = x + hidden.clamp(min=0) @ layer.last.weight.T + layer.last.bias
    return normed(network.norm, x)


@KINDS
@pytest.mark.parametrize("symbols", [False, True])
@pytest.mark.parametrize("steps", [1, 2, 3, 4, 5, 6, 11, 12, 13])
def test_a_network_is_its_plain_definition(kind: str, symbols: bool, steps: int) -> None:
    network, batch = make(kind, symbols), make_batch([steps, steps], symbols)
    found = network(batch.x, batch.lengths)
    expected = torch.stack([plain_outputs(network, row).mean(dim=0) for row in batch.x])
    assert found.shape == (2, network.output_size)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-12)


@KINDS
@pytest.mark.parametrize("symbols", [False, True])
def test_a_padded_row_is_the_row_alone(kind: str, symbols: bool) -> None:
    network, batch = make(kind, symbols), make_batch([1, 13, 2, 7, 4], symbols)
    found = network(batch.x, batch.lengths)
    for row in range(len(batch.lengths)):
        alone = row_alone(batch, row)
        torch.testing.assert_close(found[[row]], network(alone.x, alone.lengths), rtol=0, atol=1e-12)
        expected = plain_outputs(network, alone.x[0]).mean(dim=0)
        torch.testing.assert_close(found[row], expected, rtol=0, atol=1e-12)


@KINDS
def test_gradients_are_those_of_the_plain_definition(kind: str) -> None:
    network, batch = make(kind), make_batch([7, 5])
    parameters = list(network.parameters())
    found = torch.autograd.grad(network(batch.x, batch.lengths)[:, 0].sum(), parameters)
    rows = [row_alone(batch, row).x[0] for row in range(2)]
    loss = sum(plain_outputs(network, row).mean(dim=0)[0] for row in rows)
    expected = torch.autograd.grad(loss, parameters)
    for mine, theirs in zip(found, expected, strict=True):
        torch.testing.assert_close(mine, theirs, rtol=0, atol=1e-12)


def test_t_dmca_is_causal_and_each_step_sees_its_past() -> None:
    network, batch = make("t-dmca"), make_batch([11])
    before = network.outputs(batch.x)
    for changed in range(11):
        x = batch.x.clone()
        x[:, changed] += 1.0
        moved = (network.outputs(x) - before).abs().amax(dim=(0, 2))
        assert (moved[:changed] == 0).all()
        assert moved[changed] > 1e-6
        assert moved[-1] > 1e-9  # from its own block, or through the memory


def test_the_transformer_sees_both_ways() -> None:
    network, batch = make("transformer"), make_batch([11])
    before = network.outputs(batch.x, batch.lengths)
    x = batch.x.clone()
    x[:, 5] += 1.0
    assert ((network.outputs(x, batch.lengths) - before).abs().amax(dim=(0, 2)) > 1e-9).all()


@KINDS
def test_the_order_of_the_steps_matters(kind: str) -> None:
    network, batch = make(kind), make_batch([6])
    there, back = network(batch.x, batch.lengths), network(batch.x.flip(1), batch.lengths)
    assert (there - back).abs().max() > 1e-3


def test_dropout_drops_at_its_rate_and_keeps_the_mean() -> None:
    dropped = Dropout(0.3, torch.Generator().manual_seed(0))(torch.ones(200, 500))
    assert abs(float((dropped == 0).float().mean()) - 0.3) < 0.01
    assert abs(float(dropped.mean()) - 1.0) < 0.02


@KINDS
def test_dropout_follows_from_the_generator_alone(kind: str) -> None:
    network, batch = make(kind), make_batch([7, 5])

    def run(seed: int | None) -> Tensor:
        generator = None if seed is None else torch.Generator().manual_seed(seed)
        return network(batch.x, batch.lengths, generator)

    stream = torch.random.get_rng_state()
    assert torch.equal(run(0), run(0))
    assert not torch.equal(run(0), run(1))
    assert torch.equal(run(None), run(None))
    assert not torch.equal(run(None), run(0))
    assert torch.equal(stream, torch.random.get_rng_state())
    network.dropout = 0.0
    assert torch.equal(run(None), run(0))


def test_a_layer_drops_on_both_branches_and_after_the_relu(monkeypatch: pytest.MonkeyPatch) -> None:
    layer, x = AttentionLayer(8, 2), torch.randn(2, 5, 8)
    dropped: list[torch.Size] = []
    plain = Dropout.__call__

    def counted(self: Dropout, x: Tensor) -> Tensor:
        dropped.append(x.shape)
        return plain(self, x)

    monkeypatch.setattr(Dropout, "__call__", counted)
    layer(x, F.scaled_dot_product_attention, Dropout(0.1, torch.Generator().manual_seed(0)))
    assert dropped == [(2, 5, 8), (2, 5, 32), (2, 5, 8)], "attention, ReLU, feed-forward"


def test_in_evaluation_attention_drops_nothing() -> None:
    model, batch = make_model("transformer"), make_batch([9, 5])

    def loss(step: int) -> float:
        term = losses(model, [AveragedClassification()], batch, Draw(0, 0, step))["classification"]
        return float(term.total.detach())

    assert loss(0) != loss(1)
    model.eval()
    assert loss(0) == loss(1)


@pytest.mark.parametrize("kind", [TransformerEncoder, TDMCAEncoder])
@pytest.mark.parametrize(("symbols", "channels"), [(0, 1), (0, 3), (70, 1)])
def test_the_parameters_are_as_many_as_the_lstms(kind: type[Network], symbols: int, channels: int) -> None:
    def build(width: int) -> Network:
        return kind(Embedding(symbols, channels, width))

    stream = torch.random.get_rng_state()
    wanted = lstm_parameters(symbols, channels, embedding_size=128, hidden_size=128)
    width = width_like(wanted, 4, build)
    assert torch.equal(stream, torch.random.get_rng_state())

    lstm = EmbeddedLSTM(Embedding(symbols, channels, 128), 128)
    assert wanted == count(lstm)
    assert width % 4 == 0
    assert abs(count(build(width)) / wanted - 1) < 0.1
    for other in (width - 4, width + 4):
        assert abs(count(build(other)) - wanted) >= abs(count(build(width)) - wanted)


def test_the_narrowest_network_is_as_wide_as_its_heads() -> None:
    assert width_like(1, 4, lambda width: TransformerEncoder(Embedding(0, 1, width))) == 4


def count(network: nn.Module) -> int:
    return sum(each.numel() for each in network.parameters())


def test_a_width_that_the_heads_cannot_share_is_refused() -> None:
    with pytest.raises(ValueError, match="3 heads"):
        TransformerEncoder(Embedding(0, 1, 8), heads=3)


def test_initial_weights_of_norms_and_convolutions() -> None:
    network = TDMCAEncoder(Embedding(0, 1, 40), layers=2)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.fill_(7.0)
    initialise(network, 0)
    for module in network.modules():
        if isinstance(module, nn.LayerNorm):
            assert (module.weight == 1).all() and (module.bias == 0).all()
    convolution = network.layers[1].shorten.convolution
    bound = 1 / math.sqrt(40 * 3)
    assert 0.99 * bound < convolution.weight.abs().max() <= bound
    assert convolution.bias.abs().max() <= bound
    assert float(convolution.weight.detach().std()) == pytest.approx(bound / math.sqrt(3), rel=0.05)


@KINDS
@pytest.mark.parametrize("lengths", [[3000, 3000], [3000, 2000]])
def test_no_tensor_of_a_long_row_grows_with_the_square_of_its_length(kind: str, lengths: list[int]) -> None:
    network, batch = make(kind).float(), make_batch(lengths)
    kept = []

    def keep(tensor: Tensor) -> Tensor:
        kept.append(tensor.untyped_storage().nbytes())
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        network(batch.x.float(), np.array(lengths), torch.Generator().manual_seed(0)).sum().backward()
    assert (
        max(kept) <= 2 * 3000 * 32 * 8
    )  # the hidden layer of the feed-forward networks, and not 3000 x 3000


@KINDS
def test_bf16_gives_nearly_the_same(kind: str) -> None:
    network, batch = make(kind).float(), make_batch([300, 200, 2])
    x = batch.x.float()
    exact = network(x, batch.lengths)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        rounded = network(x, batch.lengths)
        rounded.sum().backward()
    assert rounded.dtype == torch.float32
    assert (rounded - exact).abs().max() < 0.05


@KINDS
def test_a_network_learns_which_of_two_patterns_a_row_holds(kind: str) -> None:
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(64) % 2
    x = torch.randint(0, 4, (64, 20), generator=generator)
    places = torch.randint(0, 18, (64,), generator=generator)
    for row, (place, label) in enumerate(zip(places.tolist(), labels.tolist(), strict=True)):
        x[row, place : place + 2] = torch.tensor([4, 5] if label else [5, 4])
    embedding = Embedding(6, 1, 16)
    network: Network
    if kind == "transformer":
        network = TransformerEncoder(embedding)
    else:
        network = TDMCAEncoder(embedding, layers=3, block=8)
    model = nn.ModuleList([network, nn.Linear(16, 2)])
    initialise(model, 0)
    optimizer = torch.optim.Adam(model.parameters(), 0.005)
    lengths = np.full(64, 20)
    for _ in range(200):
        loss = F.cross_entropy(model[1](network(x, lengths, generator)), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    with torch.no_grad():
        right = model[1](network(x, lengths)).argmax(dim=1) == labels
    assert right.float().mean() > 0.95
