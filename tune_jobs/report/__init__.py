"""Rows of the store as tables for people and programs. Reads frames; never writes, never decides."""
