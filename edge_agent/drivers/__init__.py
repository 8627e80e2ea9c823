"""From a device's own words to catalogue values."""
