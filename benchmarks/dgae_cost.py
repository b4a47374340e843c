"""Seconds an epoch of the auto-encoder, beside the matrix products that it cannot do without.

The floor is the products of the same batches, forward and backward, of torch in the same process
and on the same threads: of the layers, and of the codes of all anchors with those of the batch. No
activation, no exponential, no noise, no optimiser, no gathering, one set of rows reused. What the
layers' products alone are of a step is given beside. Each size is a process of its own, whose
greatest memory is given with what of it were the rows. The time of a step hardly depends on n, so
that a few steps are timed (--steps) and an epoch is calculated from them; the whole loop runs:
batches, partners, losses, optimiser, schedule, history.

    python benchmarks/dgae_cost.py [--n 5000 20000 100000] [--batch 128 512 2048]
        [--layers 2000-1000-500 256-128] [--steps 100] [--device cpu] [--precision float32]
        [--init pretrain marginal-fisher] [--compile]

Rows of 2,971 columns. On a GPU: --device cuda --precision bfloat16 --n 664720 (8 GB of rows in
main memory).
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial

import numpy as np
import scipy.sparse as sp
import torch

from skgeo.embedding._batches import PairData, PairGraph, Places
from skgeo.embedding._network import AutoEncoder, ResidualAutoEncoder
from skgeo.embedding._objective import _CROWD, GeoObjective
from skgeo.embedding._training import train

COLUMNS, Z_COLUMNS = 2971, 500
K1, K2 = 20, 10
NOISE = 0.5  # the default on the linear layer


def graph(n: int, k: int, rng: np.random.Generator) -> PairGraph:
    """Random pairs, k a row."""
    indices = rng.integers(n, size=n * k)
    return PairGraph(sp.csr_array((np.ones(n * k), indices, np.arange(0, n * k + 1, k))), None)


def products(network: AutoEncoder, batch: int, device: str, dtype: torch.dtype) -> list[tuple]:
    """Pairs of matrices whose products make a step, by shape: forward, then backward."""
    shapes = []
    rows = 3 * batch  # the anchor and a partner of each kind
    layers = [(layer.in_features, layer.out_features, rows) for layer in network.encoder]
    layers += [(layer.in_features, layer.out_features, batch) for layer in network.decoder]
    if isinstance(network, ResidualAutoEncoder):
        correction = network.correction
        layers.append((correction.in_features, correction.out_features, rows))
    for i, (a, b, m) in enumerate(layers):
        shapes.append(((m, a), (a, b)))  # forward
        shapes.append(((b, m), (m, a)))  # gradient of the weights
        if i:
            shapes.append(((m, b), (b, a)))  # gradient of the input; the rows need none
    return matrices(shapes, device, dtype)


def comparison(network: AutoEncoder, batch: int, device: str) -> list[tuple]:
    """The same for the comparison of a batch, in float32: cosines, and both gradients.

    Large batches are compared in blocks of anchors, each with its own partners.
    """
    size = network.block_sizes[-1]
    shapes = []
    for start in range(0, batch, _CROWD):
        anchors = min(_CROWD, batch - start)
        rows = 3 * anchors
        shapes.append(((anchors, size), (size, rows)))
        shapes.append(((anchors, rows), (rows, size)))
        shapes.append(((rows, anchors), (anchors, size)))
    return matrices(shapes, device, torch.float32)


def matrices(shapes: list[tuple], device: str, dtype: torch.dtype) -> list[tuple]:
    """Random matrices of pairs of shapes."""
    return [
        tuple(torch.randn(shape, device=device, dtype=dtype) for shape in pair) for pair in shapes
    ]


def multiply(pairs: list[tuple], times: int) -> None:
    """All products of a step, as often as there are steps."""
    for _ in range(times):
        for a, b in pairs:
            a @ b


def wait(device: str) -> None:
    """Until the device has done what it was told."""
    if device.startswith("cuda"):
        torch.cuda.synchronize()


def seconds(work: Callable[[], object], device: str) -> float:
    """Of the clock on a GPU, of the CPU without one."""
    wait(device)
    start, cpu = time.perf_counter(), time.process_time()
    work()
    wait(device)
    on_gpu = device.startswith("cuda")
    return time.perf_counter() - start if on_gpu else time.process_time() - cpu


def measure(args: argparse.Namespace) -> dict[str, float]:
    """One setting: seconds of a step and of its floor."""
    rng = np.random.default_rng(0)
    n, batch = args.n[0], args.batch[0]
    sizes = [int(v) for v in args.layers[0].split("-")]
    residual = args.init[0] == "marginal-fisher"
    columns = Z_COLUMNS if residual else COLUMNS
    X = np.empty((n, columns), dtype=np.float32)
    for start in range(0, n, 4096):
        rng.standard_normal(dtype=np.float32, out=X[start : start + 4096])
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    kind = ResidualAutoEncoder if residual else AutoEncoder
    network = kind([columns, *sizes], "tanh", "identity").to(args.device)
    network.noise = NOISE if residual else 0.0
    if args.compile:
        # Batches differ in how many anchors have partners.
        network.forward = torch.compile(network.forward, dynamic=True)
    places = Places(rng.integers(max(1, n // 50), size=n))
    graphs = graph(n, K1, rng), graph(n, K2, rng)
    # Whole batches, as those of the floor.
    steps = max(1, min(n // batch, args.steps))
    anchors = rng.permutation(n)[: steps * batch]
    data = PairData(X, *graphs, anchors=anchors, places=places)
    objective = GeoObjective(
        3.0,
        3.0,
        1e-6,
        scale_free=True,
        margin=0.5,
        code_size=network.block_sizes[-1],
        pair_loss="multi-similarity",
        unit_codes=residual,
    )
    objective.variance.fill_(float(columns))
    settings = {
        "batch_size": batch,
        "learning_rate": 1e-3,
        "device": args.device,
        "precision": args.precision,
        "rng": rng,
    }
    few = PairData(X, *graphs, anchors=anchors[: 2 * batch], places=places)
    train(network, objective, few, phase="warm", max_epochs=1, **settings)
    # Interleaved: a busy machine slows both alike.
    dtype = torch.bfloat16 if args.precision == "bfloat16" else torch.float32
    parts = products(network, batch, args.device, dtype), comparison(network, batch, args.device)
    flops = sum(2.0 * a.shape[0] * a.shape[1] * b.shape[1] for part in parts for a, b in part)
    loop: list[float] = []
    floors: tuple[list[float], list[float]] = ([], [])
    for _ in range(args.repeats):
        epoch = partial(train, network, objective, data, phase="timed", max_epochs=1, **settings)
        loop.append(seconds(epoch, args.device) / steps)
        for part, floor in zip(parts, floors, strict=True):
            floor.append(seconds(partial(multiply, part, steps), args.device) / steps)
    step = np.median(loop)
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return {
        "step": float(step),
        "layers": float(np.median(floors[0])),
        "floor": float(np.median(floors[0]) + np.median(floors[1])),
        "flops": flops,
        "rows_mb": X.nbytes / 2**20,
        "more_mb": (after - before) / 2**10,
    }


def main() -> None:
    """Print one line a setting."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--n", type=int, nargs="+", default=[5000, 20000, 100000])
    parser.add_argument("--batch", type=int, nargs="+", default=[128, 512])
    parser.add_argument("--layers", nargs="+", default=["2000-1000-500", "256-128"])
    parser.add_argument("--init", nargs="+", default=["pretrain", "marginal-fisher"])
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--precision", default="float32")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--compile", action="store_true", help="the layers by torch.compile")
    parser.add_argument("--one", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    if args.one:
        print(json.dumps(measure(args)))
        return
    unit = "s" if args.device.startswith("cuda") else "CPU s"
    print(
        f"{'n':>8} {'init':16}{'layers':16}{'batch':>6}{f'{unit}/epoch':>13}{'floor':>9}"
        f"{'share':>7}{'layers':>8}{'GFLOP/s':>9}{'rows MB':>9}{'more MB':>9}"
    )
    for init in args.init:
        for layers in args.layers:
            for batch in args.batch:
                for n in args.n:
                    chosen = [
                        *("--n", str(n), "--batch", str(batch), "--layers", layers),
                        *("--init", init, "--steps", str(args.steps), "--device", args.device),
                        *("--precision", args.precision, "--threads", str(args.threads)),
                        *("--repeats", str(args.repeats), "--one"),
                    ]
                    if args.compile:
                        chosen.append("--compile")
                    answer = subprocess.run(
                        [sys.executable, __file__, *chosen],
                        check=True,
                        capture_output=True,
                        text=True,
                    )
                    found = json.loads(answer.stdout)
                    epoch = -(-n // batch)
                    print(
                        f"{n:8} {init:16}{layers:16}{batch:6}{found['step'] * epoch:13.1f}"
                        f"{found['floor'] * epoch:9.1f}{found['floor'] / found['step']:7.0%}"
                        f"{found['layers'] / found['step']:8.0%}"
                        f"{found['flops'] / found['step'] / 1e9:9.0f}{found['rows_mb']:9.0f}"
                        f"{found['more_mb']:9.0f}",
                        flush=True,
                    )


if __name__ == "__main__":
    main()
