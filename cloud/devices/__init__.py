"""The devices of a site."""
