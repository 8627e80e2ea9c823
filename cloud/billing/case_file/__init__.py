"""One bill from one JSON document: what people write is understood, priced, and told; CASE.md documents the format."""
