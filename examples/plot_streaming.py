"""
Data larger than memory: memory maps and CSV files
==================================================

The picture shows why a sorted file needs a shuffle window. The curves are the accuracy of a
network after each epoch, with windows of different sizes. Before that, the example trains on a
memory map, on a CSV file that is read in chunks, and in a loop with ``partial_fit``. The tables
are small, so that the example is quick. Tables larger than memory are used in the same way.
"""

# %%
# A table in a file
# -----------------
# The table has five copies of each training image of a digit: the image itself, and the image
# shifted by one pixel in each of four directions. Files are often sorted. This one is sorted by
# digit.

import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from sknet import NNClassifier
from sknet.streaming import fit_chunks, read_chunks, shuffle_chunks

folder = Path(tempfile.mkdtemp())
images, digits = load_digits(return_X_y=True)
X_train, X_test, y_train, y_test = train_test_split(
    images, digits, test_size=0.3, stratify=digits, random_state=0
)


def shifted(rows, down, right):
    return np.roll(rows.reshape(-1, 8, 8), (down, right), axis=(1, 2)).reshape(-1, 64)


shifts = [(0, 0), (-1, 0), (1, 0), (0, -1), (0, 1)]
y = np.tile(y_train, len(shifts))
order = np.argsort(y, kind="stable")
y = y[order]
table = np.lib.format.open_memmap(folder / "X.npy", "w+", np.float32, (len(y), 64))
table[:] = np.concatenate([shifted(X_train, *shift) for shift in shifts])[order]
table.flush()
X = np.load(folder / "X.npy", mmap_mode="r")
print(f"{X.shape[0]} rows of {X.shape[1]} pixels in {X.filename.name}")

# %%
# Fit on a memory map
# -------------------
# ``fit`` takes a memory map as it is. It also takes h5py datasets and zarr arrays. Ten epochs
# keep the example short.

settings = {"max_iter": 10, "random_state": 0}
network = NNClassifier(**settings).fit(X, y)
print(f"memory map: accuracy {network.score(X_test, y_test):.3f}")

# %%
# Fit on a CSV file in chunks
# ---------------------------
# ``fit_chunks`` reads the file once before training and once for each epoch. It holds a few
# chunks in memory.

frame = pd.DataFrame(X, columns=[f"pixel_{i}" for i in range(64)]).assign(digit=y)
frame.sample(frac=1, random_state=0).to_csv(folder / "digits.csv", index=False)
chunks = read_chunks(folder / "digits.csv", target="digit", chunk_size=2000)
network = fit_chunks(NNClassifier(**settings), chunks, shuffle_window=4)
test_frame = pd.DataFrame(X_test, columns=network.feature_names_in_)
print(f"CSV: accuracy {network.score(test_frame, y_test):.3f}")

# %%
# A loop with partial_fit
# -----------------------
# ``partial_fit`` makes one pass over one chunk. You write the loop over epochs and set the
# learning rate yourself.

network = NNClassifier(**settings)
for epoch, rate in enumerate([0.01, 0.01, 0.003, 0.001]):
    network.set_params(learning_rate_init=rate)
    for X_chunk, y_chunk in shuffle_chunks(chunks, window=4, random_state=epoch):
        network.partial_fit(X_chunk, y_chunk, classes=np.arange(10))
    print(f"epoch {epoch + 1}: accuracy {network.score(test_frame, y_test):.3f}")

# %%
# Shuffle window
# --------------
# Chunks are read in the order of the file. Here, most chunks have a single digit. With a
# window of one chunk, the network sees the same digit for many steps and forgets the others. A
# window of many chunks mixes the digits. A table with ``shape`` and slicing, such as a memory
# map, needs no window. Its rows are mixed better, since its blocks are read in random order.

settings |= {"scoring": "accuracy"}
sorted_chunks = [(X[i : i + 200], y[i : i + 200]) for i in range(0, len(y), 200)]
for window in (1, 10, len(sorted_chunks)):
    network = fit_chunks(NNClassifier(**settings), sorted_chunks, shuffle_window=window)
    epochs = np.arange(1, network.n_iter_ + 1)
    plt.plot(epochs, network.validation_scores_, marker=".", label=window)
plt.xlabel("epoch")
plt.ylabel("accuracy on the held-out rows")
plt.legend(title="chunks in the window")
plt.title(f"A sorted file of {len(sorted_chunks)} chunks")
plt.show()
