"""One module a command: ``add_arguments(parser)`` and ``run(args) -> exit code``. Errors are raised, never printed."""
