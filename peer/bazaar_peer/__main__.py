"""The entry point of `bazaar` and of `python -m bazaar_peer`."""

from bazaar_peer.command.app import main

if __name__ == "__main__":
    main()
