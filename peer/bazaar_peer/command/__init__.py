"""The command `bazaar`: a ring on this machine, a client of any ring, audits and simulations."""
