"""The networks: those that read, classify, reconstruct and predict."""
