"""What papers claim, and the runner that holds the simulator against it."""
