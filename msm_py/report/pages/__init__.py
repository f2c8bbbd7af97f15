"""Pages for a browser: what a person looks at, from files on a disk, without a network."""
