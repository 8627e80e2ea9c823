"""Edge boxes: how one is claimed, how it proves who it is, what it is told to do, when it was last heard."""
