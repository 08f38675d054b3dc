"""The prototype bank: what is known, its versions on disk, and the search in it."""
