"""Alert rules, the alerts that they open, and what became of each."""
