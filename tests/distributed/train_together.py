"""Started by torchrun in two processes: fits the cases and leaves what came of them."""

import os
import pickle
import signal
import sys
import warnings
from pathlib import Path

import numpy as np
from skorch.callbacks import Callback

from skgeo.datasets import make_geo_world
from skgeo.embedding import DGAETransformer

WORLD = make_geo_world(random_state=0)
X, Y = WORLD.data[:400], WORLD.coordinates[:400]

CASES = {
    "held-out, noise, refit": {"hidden_layer_sizes": (24, 12), "max_epochs": 3},
    "full batch, the paper's": {
        "hidden_layer_sizes": (16,),
        "objective": "paper",
        "max_epochs": 3,
        "pretrain_epochs": 1,
    },
    "hinge, pre-trained": {
        "hidden_layer_sizes": (24, 12),
        "init": "pretrain",
        "pair_loss": "hinge",
        "pretrain_epochs": 1,
        "noise": 0.3,
        "max_epochs": 2,
        "early_stopping": False,
    },
    "more processes than anchors": {
        "hidden_layer_sizes": (8,),
        "init": "pretrain",
        "pretrain_epochs": 0,
        "batch_size": 3,
        "max_epochs": 1,
        "early_stopping": False,
    },
}


class Die(Callback):
    """Ends the process as the kernel would, in the second epoch."""

    def on_epoch_end(self, net, **_):
        if len(net.history) == 2:
            os.kill(os.getpid(), signal.SIGKILL)


class Wander(Callback):
    """Moves the weights of one process."""

    def on_epoch_begin(self, net, **_):
        next(net.module_.parameters()).data += 1.0


def fit(**parameters):
    parameters = {"random_state": 0, **parameters}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return DGAETransformer(**parameters).fit(X, Y)


def outcome(dgae):
    return {
        "totals": np.array([row["total"] for row in dgae.history_]),
        "scores": np.array([row.get("validation_score", 0.0) for row in dgae.history_]),
        "weights": [p.detach().numpy().copy() for p in dgae.module_.parameters()],
        "best_epoch": dgae.best_epoch_,
        "transformed": dgae.transform(X[:20]),
    }


def message_of(**parameters):
    try:
        fit(**parameters)
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return "nothing was raised"


def main(folder):
    from accelerate import PartialState

    global X
    state = PartialState(cpu=True)
    rank, attempt = state.process_index, int(os.environ["TORCHELASTIC_RESTART_COUNT"])
    if attempt == 0:
        # Rank 1 is lost in the middle; the other one must not wait for ever.
        fit(**CASES["hinge, pre-trained"], callbacks=[("die", Die())] if rank else None)
        raise AssertionError("trained on without the other process")
    found = {name: outcome(fit(**parameters)) for name, parameters in CASES.items()}
    small = CASES["more processes than anchors"]
    found["without a seed"] = outcome(fit(**{**small, "random_state": None}))
    found["grown"] = outcome(
        fit(**small, finetune_epochs=1).partial_fit(X[:30] + np.float32(0.01), Y[:30])
    )
    found["wandering"] = message_of(**small, callbacks=[("wander", Wander())] if rank else None)
    found["wrong parameter"] = message_of(**{**small, "alpha": -1.0})
    found["wrong pairs"] = message_of(**small, pairs="none")
    if rank:
        X = X + np.float32(1e-3)
    found["other photos"] = message_of(**small)
    found["world"] = (state.num_processes, rank, attempt)
    Path(folder, f"{rank}.pkl").write_bytes(pickle.dumps(found))
    # A group whose threads still run when the interpreter ends may abort it.
    state.wait_for_everyone()
    state.destroy_process_group()


if __name__ == "__main__":
    main(sys.argv[1])
