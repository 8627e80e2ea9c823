"""From a document to a file, in a process of its own."""
