"""The lecture's equations as pure functions of tensors, independent of any network: one module per
equation.
"""
