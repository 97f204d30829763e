"""Telling people what they wait for, until when, and what could be had."""
