"""The suite; a package, because a library installs a package of the same name beside it."""
