"""For the tests of all packages."""

from __future__ import annotations

import signal

# Some tests send Ctrl-C to a command. A run of the tests in the background ignores that signal, and
# the commands would inherit it.
signal.signal(signal.SIGINT, signal.default_int_handler)
