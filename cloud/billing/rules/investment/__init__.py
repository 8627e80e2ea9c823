"""What a solar system is worth."""
