"""The verbs of the command line, one file each: a click command named `command`, heavy imports inside it."""
