"""The largest magnitudes of numbers: of those that are read, computed with, and predicted."""

#: The largest magnitude of a number to predict, and of a prediction. The squares of larger
#: numbers overflow.
LARGEST = 1e150
#: The limits of the magnitude of numbers to predict in float32. Predictions may be some times
#: as large.
SINGLE_LIMITS = 1e-36, 1e36
#: The largest magnitude of a number that a network is given: X and y are cut here.
#: Its square does not overflow in float32, and the smooth clip maps all larger numbers to the
#: same number to the last bit. A standardised y is farther from the mean only if its share of
#: the weights is below the square of the inverse, or if y has changed since the scale was
#: learned.
FARTHEST = 1e15
