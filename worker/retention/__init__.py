"""How long each copy may live and why: rules as data, decisions as a pure function with reasons."""
