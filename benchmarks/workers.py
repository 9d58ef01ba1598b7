"""Measurements in processes of their own."""

import json
import os
import subprocess
import sys


def run_worker(script, *arguments):
    """Return what ``script --worker arguments`` prints last, as JSON."""
    command = [sys.executable, script, "--worker", *arguments]
    # An installed package has its bytecode, so a checkout must be allowed to write its own.
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    if done.returncode:
        raise RuntimeError(f"{' '.join(arguments)} failed:\n{done.stderr}")
    return json.loads(done.stdout.splitlines()[-1])
