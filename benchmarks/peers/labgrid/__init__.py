"""labgrid: its coordinator as it comes in its package, with peers that speak its protocol."""
