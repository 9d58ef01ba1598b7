"""Check that users' type checkers know the types of nearly all public names of sknet.

``pyright --verifytypes`` counts the public symbols whose types are complete. It fails unless
all of them are, which sknet does not guarantee. So this script checks the share of them.
"""

import json
import subprocess
import sys

MIN_COMPLETENESS = 0.97
COMMAND = ["pyright", "--verifytypes", "sknet", "--ignoreexternal", "--outputjson"]


def completeness():
    """Return the share of public symbols with a complete type, as pyright sees them."""
    report = subprocess.run(
        [sys.executable, "-m", *COMMAND], capture_output=True, text=True, check=False
    )
    if not report.stdout.startswith("{"):
        sys.exit(report.stdout + report.stderr)
    return json.loads(report.stdout)["typeCompleteness"]["completenessScore"]


def main():
    """Exit with a message if the share is too small."""
    score = completeness()
    print(f"pyright: {score:.1%} of the public symbols have complete types")
    if score < MIN_COMPLETENESS:
        sys.exit(f"At least {MIN_COMPLETENESS:.0%} of them should.")


if __name__ == "__main__":
    main()
