"""What to know about a bill, and which tariffs a connection may choose."""
