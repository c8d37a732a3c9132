"""What each `pe` command takes and does. Machinery is imported when a command runs."""
