"""From the X and y of the user to arrays, and back."""
