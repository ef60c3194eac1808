"""The pictures, drawn by matplotlib without a window; nothing else of the product needs it."""
