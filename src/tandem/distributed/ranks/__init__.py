"""What runs in a rank: its life from entry module to last line, its events, and the collectives between ranks."""
