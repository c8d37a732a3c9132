"""The parts that can be swapped, each behind a protocol."""
