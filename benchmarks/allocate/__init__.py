"""Allocate in figures: how soon an idle lab answers, how much a loaded one does, how soon the next has it."""
