"""Writing to devices: what may be written is decided by rules, and every write is read back and remembered."""
