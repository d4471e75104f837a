"""One step of `sphinx-mnist` on 2048 images: PyTorch, Opacus and JAX in the clear, Sphinx encrypted.

Every peer runs each of its own ways that promise speed, and the fastest counts.
"""

import math
import warnings

import jax
import jax.numpy as jnp
import numpy as np
import opacus
import torch
from opacus.grad_sample.utils import wrap_model
from torch import nn

import common

BATCH, STEPS, RATE, CLIP, NOISE = 2048, 5, 0.1, 1.0, 1.0


def network():
    return nn.Sequential(
        nn.Conv2d(1, 16, 5), nn.Tanh(), nn.AvgPool2d(2),
        nn.Conv2d(16, 16, 5), nn.Tanh(), nn.AvgPool2d(2),
        nn.Flatten(), nn.Linear(256, 100), nn.Tanh(), nn.Linear(100, 10),
    )  # fmt: skip


def torch_plain(images, labels, channels_last, compiled):
    model = network()
    x = torch.from_numpy(images).reshape(-1, 1, 28, 28)
    if channels_last:
        model, x = model.to(memory_format=torch.channels_last), x.contiguous(memory_format=torch.channels_last)
    y = torch.from_numpy(labels)
    optimizer = torch.optim.SGD(model.parameters(), lr=RATE)
    forward = torch.compile(model) if compiled else model

    def step():
        optimizer.zero_grad(set_to_none=True)
        nn.functional.cross_entropy(forward(x), y).backward()
        optimizer.step()

    return common.seconds(step, STEPS)


def torch_private(images, labels, mode):
    """Opacus: per-sample gradients by `mode`, clipped, summed, noised. `ghost` never makes them."""
    x, y = torch.from_numpy(images).reshape(-1, 1, 28, 28), torch.from_numpy(labels)
    model = network()
    ghost = {"max_grad_norm": CLIP} if mode == "ghost" else {}
    private = wrap_model(model, grad_sample_mode=mode, loss_reduction="mean", **ghost)
    base = torch.optim.SGD(private.parameters(), lr=RATE)
    kinds = {"noise_multiplier": NOISE, "max_grad_norm": CLIP, "expected_batch_size": BATCH}
    if mode == "ghost":
        from opacus.optimizers import DPOptimizerFastGradientClipping
        from opacus.utils.fast_gradient_clipping_utils import DPLossFastGradientClipping

        optimizer = DPOptimizerFastGradientClipping(base, **kinds)
        loss = DPLossFastGradientClipping(private, optimizer, nn.CrossEntropyLoss(reduction="mean"), "mean")
    else:
        optimizer = opacus.optimizers.DPOptimizer(base, **kinds)
        loss = nn.CrossEntropyLoss()

    def step():
        optimizer.zero_grad(set_to_none=True)
        loss(private(x), y).backward()
        optimizer.step()

    return common.seconds(step, STEPS)


def jax_parameters():
    rng = np.random.default_rng(0)
    shapes = [(16, 1, 5, 5), (16, 16, 5, 5), (256, 100), (100, 10)]
    fan_in = [25, 400, 256, 100]
    return [
        (jnp.asarray(rng.normal(0, 1 / math.sqrt(fan), shape), jnp.float32),
         jnp.zeros(shape[0] if len(shape) == 4 else shape[1]))
        for shape, fan in zip(shapes, fan_in)
    ]  # fmt: skip


def jax_logits(parameters, x):
    for weights, biases in parameters[:2]:
        x = jax.lax.conv_general_dilated(x, weights, (1, 1), "VALID") + biases[:, None, None]
        n, c, h, w = x.shape
        x = jnp.tanh(x).reshape(n, c, h // 2, 2, w // 2, 2).mean(axis=(3, 5))
    (w1, b1), (w2, b2) = parameters[2:]
    return jnp.tanh(x.reshape(x.shape[0], -1) @ w1 + b1) @ w2 + b2


def jax_loss(parameters, x, y):
    return -jnp.take_along_axis(jax.nn.log_softmax(jax_logits(parameters, x)), y[:, None], 1).mean()


def jax_plain(images, labels):
    x, y = jnp.asarray(images.reshape(-1, 1, 28, 28)), jnp.asarray(labels)

    @jax.jit
    def update(parameters):
        gradient = jax.grad(jax_loss)(parameters, x, y)
        return jax.tree.map(lambda value, by: value - RATE * by, parameters, gradient)

    state = [jax_parameters()]

    def step():
        state[0] = jax.block_until_ready(update(state[0]))

    return common.seconds(step, STEPS)


def jax_private(images, labels, chunk):
    """Per-sample gradients by vmap, `chunk` images at a time, clipped, summed, noised."""
    x = jnp.asarray(images.reshape(-1, chunk, 1, 1, 28, 28))
    y = jnp.asarray(labels.reshape(-1, chunk, 1))

    def clipped_sum(parameters, part):
        gradients = jax.vmap(jax.grad(jax_loss), in_axes=(None, 0, 0))(parameters, *part)
        leaves = jax.tree.leaves(gradients)
        norms = jnp.sqrt(sum((leaf.reshape(chunk, -1) ** 2).sum(axis=1) for leaf in leaves))
        factors = jnp.minimum(1, CLIP / norms)
        return jax.tree.map(lambda leaf: jnp.tensordot(factors, leaf, 1), gradients)

    @jax.jit
    def update(parameters, key):
        zero = jax.tree.map(jnp.zeros_like, parameters)
        add = lambda total, part: (jax.tree.map(jnp.add, total, clipped_sum(parameters, part)), None)
        total, _ = jax.lax.scan(add, zero, (x, y))
        leaves, shape = jax.tree.flatten(total)
        keys = jax.random.split(key, len(leaves))
        noised = [leaf + CLIP * NOISE * jax.random.normal(k, leaf.shape) for leaf, k in zip(leaves, keys)]
        gradient = jax.tree.unflatten(shape, noised)
        return jax.tree.map(lambda value, by: value - RATE / BATCH * by, parameters, gradient)

    state = [jax_parameters(), jax.random.key(1)]

    def step():
        state[1], key = jax.random.split(state[1])
        state[0] = jax.block_until_ready(update(state[0], key))

    return common.seconds(step, STEPS)


def fastest(ways):
    """The fastest of several ways, and what became of the others."""
    found, tried = [], {}
    for name, run in ways.items():
        try:
            found.append((run(), name))
            tried[name] = f"{1e3 * found[-1][0] / BATCH:.3f} ms"
        except Exception as error:  # a way that this version of the peer does not offer is said
            tried[name] = f"failed: {type(error).__name__}"
    return (*min(found), tried)


def main():
    options = common.arguments(__doc__)
    warnings.filterwarnings("ignore")
    torch.set_num_threads(common.CORES)
    torch.manual_seed(0)
    images, labels = common.mnist("train")
    images, labels = images[:BATCH].copy(), labels[:BATCH].copy()

    versions = {"PyTorch": torch.__version__, "Opacus": opacus.__version__, "JAX": jax.__version__}
    peers = {
        ("PyTorch", "no"): {
            f"channels_last={last}, compile={compiled}":
                (lambda last=last, compiled=compiled: torch_plain(images, labels, last, compiled))
            for last in (False, True) for compiled in (False, True)
        },
        ("Opacus", "yes"): {
            mode: (lambda mode=mode: torch_private(images, labels, mode)) for mode in ("hooks", "ew", "functorch", "ghost")
        },
        ("JAX", "no"): {"jit": lambda: jax_plain(images, labels)},
        ("JAX", "yes"): {
            f"vmap of {chunk}": (lambda chunk=chunk: jax_private(images, labels, chunk)) for chunk in (64, 256, 2048)
        },
    }  # fmt: skip
    rows, settings = [], {"batch": BATCH, "versions": versions}
    for (name, private), ways in peers.items():
        taken, way, tried = fastest(ways)
        rows.append({"who": name, "private": private, "encrypted": "no", "ms per image": 1e3 * taken / BATCH, "by": way})
        settings[f"{name}, private: {private}"] = tried
    if bench := common.ours(options.ours):
        figures = bench["train"]["sphinx-mnist"]
        rows.append({"who": "Sphinx, its own layers", "private": "yes", "encrypted": "no", "ms per image": figures["clear_ms_per_image"]})
        rows.append({"who": "Sphinx", "private": "yes", "encrypted": "yes, checked", "ms per image": figures["ms_per_image"]})
    columns = ["who", "private", "encrypted", "ms per image", "by"]
    common.report(options, "One step of sphinx-mnist, wall time per image", columns, rows, settings)


if __name__ == "__main__":
    main()
