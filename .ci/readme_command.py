"""Print the README's command that contains a word: ``readme_command.py pytest``.

The README's sh blocks install the package and run the quick start, run the tests, and build the
documentation. CI runs the commands that readers are told to run.
"""

import re
import sys
from pathlib import Path

README = Path(__file__).parents[1] / "README.md"


def find_command(word):
    """Return the only sh block that contains ``word``."""
    blocks = re.findall(r"^```sh\n(.*?)^```$", README.read_text("utf-8"), re.M | re.S)
    matching = [block for block in blocks if word in block]
    if len(matching) != 1:
        sys.exit(f"{len(matching)} sh blocks of README.md contain {word!r}; one should.")
    return matching[0].strip()


if __name__ == "__main__":
    # Without an end of line, which has an additional character on Windows.
    print(find_command(sys.argv[1]), end="")
