"""Requests of persons, and the proof that they were carried out."""
