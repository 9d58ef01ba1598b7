"""A fitted network as C code, for devices without Python."""

import numpy as np
from sklearn.datasets import load_iris
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sknet import NNClassifier

HIDDEN = {
    "relu": "z > 0 ? z : 0",
    "silu": "z / (1 + exp(-z))",
    "tanh": "tanh(z)",
}
#: The code from the last layer to the outputs. A binary classifier has one output, the
#: probability of the second class.
OUTPUTS = {
    "identity": "",
    "logistic": "for (int j = 0; j < {n}; j++) z[j] = 1 / (1 + exp(-z[j]));",
    "softmax": """double top = z[0], sum = 0;
    for (int j = 1; j < {n}; j++) top = fmax(top, z[j]);
    for (int j = 0; j < {n}; j++) sum += z[j] = exp(z[j] - top);
    for (int j = 0; j < {n}; j++) z[j] /= sum;""",
}
TEMPLATE = """#include <math.h>

static double hidden(double z) {{ return {hidden}; }}

static void dense(const double *W, const double *b,
                  const double *a, int n_in, double *z, int n) {{
    for (int j = 0; j < n; j++) {{
        z[j] = b[j];
        for (int i = 0; i < n_in; i++) z[j] += a[i] * W[i * n + j];
    }}
}}

{arrays}

/* Write {n_outputs} outputs into z, for a row a0 of {n_inputs} numbers. */
void predict(const double *a0, double *z) {{
    {layers}
    {outputs}
}}
"""


def c_source(scaler, network):
    """Return C code for a scaler and a network, whose first layer takes over the scaling."""
    weights, biases = network.coefs_, network.intercepts_
    simple = (
        not network.standardize
        and network.normalization is network.monotonic_cst is None
        and network.loss in {"squared_error", "absolute_error", "huber", "log_loss"}
        and {W.ndim for W in weights} == {2}
        and len(weights[0]) == network.n_features_in_
        and not network.column_scales_
    )
    if not simple:
        raise ValueError("The network does more than multiply by its weights.")
    first = weights[0] / scaler.scale_[:, np.newaxis]
    weights, biases = [first, *weights[1:]], [biases[0] - scaler.mean_ @ first, *biases[1:]]

    arrays, layers = [], []
    for k, (W, b) in enumerate(zip(weights, biases, strict=True)):
        for name, array in {"W": W, "b": b}.items():
            numbers = ", ".join(repr(float(number)) for number in array.ravel())
            arrays.append(f"static const double {name}{k}[] = {{{numbers}}};")
        n_in, n = W.shape
        if k < len(weights) - 1:
            layers.append(f"double a{k + 1}[{n}];")
            layers.append(f"dense(W{k}, b{k}, a{k}, {n_in}, a{k + 1}, {n});")
            layers.append(f"for (int j = 0; j < {n}; j++) a{k + 1}[j] = hidden(a{k + 1}[j]);")
    layers.append(f"dense(W{k}, b{k}, a{k}, {n_in}, z, {n});")
    return TEMPLATE.format(
        hidden=HIDDEN[network.activation],
        arrays="\n".join(arrays),
        n_inputs=len(first),
        n_outputs=n,
        layers="\n    ".join(layers),
        outputs=OUTPUTS[network.out_activation_].format(n=n),
    )


if __name__ == "__main__":
    X, y = load_iris(return_X_y=True)
    plain = {"n_members": 1, "numeric_embedding": None, "n_components": 0, "standardize": False}
    network = NNClassifier((8, 8), **plain, random_state=0)
    pipeline = make_pipeline(StandardScaler(), network).fit(X, y)
    print(c_source(*pipeline))
