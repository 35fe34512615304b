"""One file per framework: each translates that framework's hooks into calls on a `Run`."""

if __name__ != "autotrack.integrations":
    raise ImportError(
        f"this package is imported as 'autotrack.integrations', not as {__name__!r}: "
        "a second copy of its modules would install every hook twice"
    )
