"""Sites: a roof, its address and its technical frame."""
