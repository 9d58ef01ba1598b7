"""Links to the references of scikit-learn and NumPy, made from names.

Their pages are named after the objects, so no inventory must be fetched to build a link.
"""

from docutils import nodes

#: Pages of objects, by package.
OBJECTS = {
    "sklearn": "https://scikit-learn.org/stable/modules/generated/{}.html",
    "numpy": "https://numpy.org/doc/stable/reference/generated/{}.html",
}
#: What the docstrings of inherited methods refer to.
LABELS = {
    "accuracy_score": OBJECTS["sklearn"].format("sklearn.metrics.accuracy_score"),
    "metadata_routing": "https://scikit-learn.org/stable/metadata_routing.html",
    "meta-estimator": "https://scikit-learn.org/stable/glossary.html#term-meta-estimator",
}


def resolve(app, env, node, contnode):
    """Return a link to what is documented elsewhere, or None."""
    target = node["reftarget"]
    if node.get("refdomain") == "py":
        page = OBJECTS.get(target.partition(".")[0], "").format(target)
    else:
        page = LABELS.get(target, "")
    return nodes.reference("", "", contnode, internal=False, refuri=page) if page else None


def setup(app):
    """Ask to be consulted for what is not documented here."""
    app.connect("missing-reference", resolve)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
