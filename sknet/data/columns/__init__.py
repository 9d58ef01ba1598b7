"""The kinds of columns: how each is read, what a survey gathers of it, and its encoding."""
