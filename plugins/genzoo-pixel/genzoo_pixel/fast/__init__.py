"""What makes the pixel models fast.

The papers' nets stand in `pixelcnn.py`, `gated.py` and `pixelrnn.py`, each with a plain forward pass;
`@faster(way)` above one names the function here that computes the same.

Training and likelihoods run `way`; a test holds it to the plain pass, values and gradients. Parts with hooks,
and passes that somebody replaced, are called as they are.
"""
