"""The deterministic simulator, and what only it and the tests need."""
