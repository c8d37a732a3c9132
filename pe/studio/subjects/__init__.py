"""Everything that can be drawn, a module a family."""
