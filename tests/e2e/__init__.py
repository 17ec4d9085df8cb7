"""Real processes, real servers, real kills."""
