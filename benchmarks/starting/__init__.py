"""How soon commands answer and services serve."""
