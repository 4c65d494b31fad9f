"""What an agent may spend and has spent: caps, purses and the ledger that every server counts in."""
