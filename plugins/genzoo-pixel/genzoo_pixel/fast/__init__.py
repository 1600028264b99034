"""Fast implementations of the pixel models.

`pixelcnn.py`, `gated.py` and `pixelrnn.py` define the networks of the papers, each with a plain forward pass.
`@faster(way)` above such a pass names the function in this package that computes the same values.

Training and likelihoods call `way`. Tests compare its values and gradients with the plain pass. Layers with
hooks, and forward passes that were overridden, are called as they are.
"""
