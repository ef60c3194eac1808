"""The peers' own buyers and sellers, without I/O: the adapter asks, submits, and tells."""
