"""A lab with one resource of each kind on this very machine: what `make lab-demo` runs."""
