"""Teaching the bank a new class from a few pictures: views, foreground, prototypes, and the guard that may refuse."""
