"""The drivers that come with the project, one module each.

They are loaded by name (loading.py), never imported here.
"""
