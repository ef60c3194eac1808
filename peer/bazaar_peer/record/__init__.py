"""What a ring went through, message by message: kept by each peer, put together later."""
