"""From data to a document: one builder per type of report, all pure."""
