"""The tests. Tiers are named after what they show, never after a package, or they would shadow it."""
