"""What surrounds the core in a real process: sockets, disk thread, HTTP."""
