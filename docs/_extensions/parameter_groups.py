"""Headings for the groups of parameters in the reference of an estimator.

In a docstring the text of a group's first parameter begins with the name of the group, such as
"**Network.** Whether ...". The site shows the name as a heading above the parameter.
"""

import re

#: A parameter as numpydoc writes it, whose description begins with the name of a group.
FIRST_OF_GROUP = re.compile(
    r"^(?P<term>(?P<indent> +)\*\*\w+\*\* : .*\n +)\*\*(?P<group>\w+)\.\*\* ", re.M
)
#: A heading that is no section, since sections cannot stand in a list of parameters.
HEADING = r"\g<indent>.. rubric:: \g<group>\n\g<indent>   :heading-level: 4\n\n\g<term>"


def add_headings(app, what, name, obj, options, lines):
    """Put a heading above the first parameter of each group, in place."""
    lines[:] = FIRST_OF_GROUP.sub(HEADING, "\n".join(lines)).split("\n")


def setup(app):
    """Register the change of docstrings, after that of numpydoc."""
    app.connect("autodoc-process-docstring", add_headings, priority=600)
    return {"parallel_read_safe": True}
