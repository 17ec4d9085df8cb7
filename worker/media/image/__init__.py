"""Pictures: judged by structure, decoded once in the jail, every copy from the same frame, all of it encoded anew."""
