"""Clips: looked at, encoded anew and counted by tools in the jail, with a poster from the finished film."""
