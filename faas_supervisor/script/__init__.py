"""The user's script: finding it, its environment, running it."""
