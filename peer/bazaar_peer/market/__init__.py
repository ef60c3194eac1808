"""The bazaar's state machine: goods, orders, prices, accounts. The core knows only `Machine`."""
