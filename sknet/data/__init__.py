"""From the user's X and y to arrays, and back."""
