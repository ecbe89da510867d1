"""The networks: what reads, what classifies, what reconstructs and predicts."""
