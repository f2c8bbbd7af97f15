"""The command line: words in, reports out."""
