"""What events come through: one module per protocol."""
