"""All SQL of keeping: the catalogue of archives, rows on their way to files and back, and the scale modes."""
