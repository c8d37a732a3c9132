"""Everything that changes how a picture looks, a module a family."""
