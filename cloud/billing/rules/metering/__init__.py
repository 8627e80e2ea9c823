"""From meters to the energy of a billing period."""
