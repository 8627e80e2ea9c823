"""From raw readings to quarter-hours, hours, days and months."""
