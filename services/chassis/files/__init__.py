"""Files that people send: taken in as a stream, checked by their content, kept under random names."""
