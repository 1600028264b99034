"""The lecture's equations as pure functions of tensors, with no network in sight: one module per equation."""
