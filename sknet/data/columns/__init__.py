"""The kinds of columns: how each is read, what a survey gathers from it, and its encoding."""
