"""The root of every error that Solar Hub raises on purpose."""


class SolarHubError(Exception):
    """Something went wrong that the product knows how to explain.

    Subclasses say in their message which field or thing was wrong, which value it had, and what to do about it.
    Whatever crosses a boundary of the product (command line, HTTP, log) is built from such a message.
    """
