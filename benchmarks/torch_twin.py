"""The default network in PyTorch: the same layers, loss, optimizer, schedule and average.

In regression, the dropout rate stays that of the first epoch, while that of sknet may fall.
"""

import math
import time

import numpy as np
import torch
from torch import nn

from sknet.nn.columns import RATE_OF_SCALES
from sknet.nn.epochs import STEPS_OF_AVERAGE


class Periodic(nn.Module):
    """Each number becomes itself and a linear map of cosine waves, as in sknet."""

    def __init__(self, n_columns, layer):
        super().__init__()
        waves = n_columns, layer.n_frequencies
        self.frequency = nn.Parameter(layer.deviation * torch.randn(waves))
        self.phase = nn.Parameter(torch.rand(waves) - 0.5)
        self.map, self.offset = linear_map(n_columns, layer.n_frequencies, layer.size - 1)

    def forward(self, x):
        # Column by column, so that the matrix products need no copies.
        lines = x.T[:, :, None] * (2 * math.pi * self.frequency)[:, None]
        waves = torch.cos(lines + (2 * math.pi * self.phase)[:, None])
        return beside(x, torch.baddbmm(self.offset[:, None], waves, self.map))


class PiecewiseLinear(nn.Module):
    """Each number becomes itself and a map of its piecewise linear outputs, one per bin."""

    def __init__(self, n_columns, layer):
        super().__init__()
        edges = torch.tensor(layer.edges)
        width = edges.diff(dim=1)
        inverse = torch.where(width > 0, 1 / width, 0)
        smallest, largest = torch.zeros_like(inverse), torch.ones_like(inverse)
        smallest[:, 0], largest[:, -1] = -1, 2
        for name, value in [
            ("low", edges[:, :-1]), ("inverse", inverse),
            ("smallest", smallest), ("largest", largest),
        ]:  # fmt: skip
            self.register_buffer(name, value)
        self.map, self.offset = linear_map(n_columns, layer.n_features, layer.size - 1)

    def forward(self, x):
        reach = (x.T[:, :, None] - self.low[:, None]) * self.inverse[:, None]
        reach = reach.clamp(self.smallest[:, None], self.largest[:, None])
        return beside(x, torch.baddbmm(self.offset[:, None], reach, self.map))


def linear_map(n_columns, n_features, size):
    bound = 1 / math.sqrt(n_features)
    draw = lambda *shape: nn.Parameter(bound * (2 * torch.rand(shape) - 1))  # noqa: E731
    return draw(n_columns, n_features, size), draw(n_columns, size)


def beside(x, mapped):
    return torch.cat([x[:, :, None], mapped.transpose(0, 1)], dim=2).flatten(1)


class Members(nn.Module):
    """A hidden layer of several members, which share a matrix and have their own scales.

    In the first layer, the members also share the input, and their scales start as random
    signs. In that layer, the scales multiply the matrix, so that one product serves all
    members.
    """

    def __init__(self, n_inputs, n_outputs, n_members, first):
        super().__init__()
        self.first = first
        self.shared = nn.Linear(n_inputs, n_outputs, bias=False)
        scale = torch.ones(n_members, n_inputs)
        if first:
            scale = torch.randint(0, 2, scale.shape) * 2.0 - 1
        self.scale = nn.Parameter(scale)
        self.bias = nn.Parameter(torch.zeros(n_members, n_outputs))

    def forward(self, x):
        if self.first:
            matrix = (self.scale[:, None] * self.shared.weight).flatten(0, 1)
            z = nn.functional.linear(x, matrix, self.bias.flatten())
            return z.unflatten(1, self.bias.shape)
        return self.shared(x * self.scale) + self.bias


class Twin(nn.Module):
    """The network of a fitted default estimator, whose X has only numeric columns."""

    def __init__(self, estimator):
        super().__init__()
        model = estimator._model
        settings = model.settings
        embedded, scales = model.network.layers[:2]
        ((columns, embedding),) = embedded.parts
        n_columns = len(columns)
        kind = Periodic if type(embedding).__name__ == "Periodic" else PiecewiseLinear
        self.embedding = kind(n_columns, embedding)
        # The number of the column of each input, and the scale of each column.
        self.register_buffer("columns", torch.tensor(scales.columns))
        self.column_scale = nn.Parameter(torch.ones(n_columns))
        self.ridge = scales.ridge
        self.n_members = settings.n_members
        widths = [n_columns * embedding.size, *settings.hidden_layer_sizes]
        self.hidden = nn.ModuleList(
            Members(a, b, self.n_members, first=i == 0)
            if self.n_members > 1
            else nn.Linear(a, b)
            for i, (a, b) in enumerate(zip(widths, widths[1:], strict=False))
        )
        self.dropout = nn.Dropout(settings.dropout[0].rate)
        bound = 1 / math.sqrt(widths[-1])
        shape = self.n_members, widths[-1], model.n_raw
        self.weight = nn.Parameter(bound * (2 * torch.rand(shape) - 1))
        self.bias = nn.Parameter(torch.zeros(self.n_members, model.n_raw))

    def forward(self, x):
        x = self.embedding(x) * self.column_scale[self.columns]
        for layer in self.hidden:
            x = self.dropout(nn.functional.silu(layer(x)))
        if self.n_members == 1:
            return x @ self.weight[0] + self.bias
        return torch.einsum("nmi,mij->nmj", x, self.weight) + self.bias

    def loss(self, raw, y):
        """Return the mean loss of all members."""
        if raw.ndim == 3:
            y = y[:, None].expand(-1, self.n_members)
            raw, y = raw.flatten(0, 1), y.flatten()
        if raw.shape[-1] > 1:
            return nn.functional.cross_entropy(raw, y.long())
        if self.n_members > 1:
            return nn.functional.binary_cross_entropy_with_logits(raw[:, 0], y)
        return 0.5 * nn.functional.mse_loss(raw[:, 0], y)


def fit(estimator, X, y, n_epochs):
    """Train the twin of a fitted estimator.

    Return the time of each epoch in seconds, the mean loss of the last epoch, and the number of
    updates.
    """
    model = estimator._model
    settings = model.settings
    X = torch.from_numpy(np.asarray(model.encode(X)))
    y = torch.from_numpy(np.asarray(y, np.float32))
    twin = Twin(estimator)
    named = dict(twin.named_parameters())
    scales = named.pop("column_scale")
    decayed = [p for name, p in named.items() if "weight" in name]
    others = [p for name, p in named.items() if "weight" not in name]
    peak = settings.learning_rate_init
    groups = [
        {"params": decayed, "weight_decay": settings.penalty.l2, "peak": peak},
        {"params": others, "weight_decay": 0.0, "peak": peak},
        {"params": [scales], "weight_decay": twin.ridge, "peak": RATE_OF_SCALES * peak},
    ]
    optimizer = torch.optim.Adam(groups, lr=peak, fused=True)
    average = [p.detach().clone() for p in twin.parameters()]
    n_batches = -(-len(X) // settings.batch_size)
    updates, total, seconds = 0, 0.0, []
    for epoch in range(n_epochs):
        total, start = 0.0, time.perf_counter()
        for i, rows in enumerate(torch.randperm(len(X)).split(settings.batch_size)):
            rate = settings.schedule((epoch + i / n_batches) / n_epochs, 0)
            for group in optimizer.param_groups:
                group["lr"] = group["peak"] * rate
            optimizer.zero_grad(set_to_none=True)
            loss = twin.loss(twin(X[rows]), y[rows])
            loss.backward()
            optimizer.step()
            updates += 1
            # As in sknet, the average moves after every fourth step, as far as it would in four
            # moves.
            if updates % STEPS_OF_AVERAGE == 0:
                decay = min(settings.ema_decay, (1 + updates) / (10 + updates))
                weight = 1 - decay**STEPS_OF_AVERAGE
                torch._foreach_lerp_(average, list(twin.parameters()), weight)
            total += loss.item() * len(rows)
        seconds.append(time.perf_counter() - start)
    return seconds, total / len(X), updates
