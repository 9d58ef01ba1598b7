"""Measurements in separate processes, and the network that they measure."""

import json
import os
import subprocess
import sys

#: The plain network of scikit-learn's MLPs, which both libraries can train.
PLAIN = {
    "hidden_layer_sizes": (100,),
    "activation": "relu",
    "alpha": 5e-7,
    "learning_rate": "constant",
    "learning_rate_init": 0.001,
    "batch_size": 200,
    "n_iter_no_change": float("inf"),
    "early_stopping": False,
    "dropout": 0.0,
    "ema_decay": None,
    "n_members": 1,
    "numeric_embedding": None,
    "random_state": 0,
}


def run_worker(script, *arguments):
    """Return the last line that ``script --worker arguments`` prints, parsed as JSON."""
    command = [sys.executable, script, "--worker", *arguments]
    # An installed package has bytecode, so a checkout must be allowed to write it.
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    if done.returncode:
        raise RuntimeError(f"{' '.join(arguments)} failed:\n{done.stderr}")
    return json.loads(done.stdout.splitlines()[-1])
