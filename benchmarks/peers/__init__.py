"""Others that do something similar, measured in the same run."""
