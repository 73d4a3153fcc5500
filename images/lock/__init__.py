"""Step ①: intents (what we want) and locks (what that resolves to: names and hashes, no addresses)."""
