"""`python -m genzoo`, and what torchrun starts: `torchrun --nproc-per-node 2 -m genzoo train ...`."""

from genzoo.cli import main

if __name__ == "__main__":
    main()
