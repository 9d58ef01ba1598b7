"""The Python blocks of a Markdown page are the cells of a notebook, which MyST-NB runs.

The sources stay plain Markdown, which a code host shows and ``tests/test_docs.py`` runs.
"""

import re

from docutils import nodes
from myst_nb.core.read import read_myst_markdown_notebook
from myst_parser.config.main import MdParserConfig

#: What an object without a text of its own prints, such as a display beside its figure.
ADDRESS = re.compile(r"<[\w. ]+ at 0x[0-9a-f]+>")


def read(text, extensions):
    """Return a page as a notebook: a code cell for each Python block that is not nested."""
    notebook = read_myst_markdown_notebook(
        text,
        MdParserConfig(enable_extensions=set(extensions)),
        code_directive="python",
        add_source_map=True,
    )
    notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3"}
    notebook.metadata["language_info"] = {"name": "python", "pygments_lexer": "python"}
    if all(cell.cell_type != "code" for cell in notebook.cells):
        # A kernel takes seconds to start.
        notebook.metadata.setdefault("mystnb", {})["execution_mode"] = "off"
    return notebook


def remove_addresses(app, doctree):
    """Remove the outputs that say nothing but where an object is in memory."""
    for output in list(doctree.findall(nodes.literal_block)):
        if "text_plain" in output["classes"] and ADDRESS.fullmatch(output.astext().strip()):
            output.parent.remove(output)


def setup(app):
    """Look at each page after its cells have run."""
    app.connect("doctree-read", remove_addresses)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
