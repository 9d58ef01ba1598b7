"""How long a test waits for another process until that counts as hanging."""

#: Seconds. On a busy machine a process may import its libraries for minutes.
HANGING = 900
