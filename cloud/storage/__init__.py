"""How long numbers stay in the database, where they go after that, and how they come back. See `README.md` of `cloud`."""
