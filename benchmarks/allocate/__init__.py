"""Allocate: how soon an idle lab answers, what a loaded one does, how soon the next one has it."""
