"""The agent's memory: one SQLite file, and all the SQL of the edge."""
