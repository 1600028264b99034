"""The hooks keep the laws of hooks; of models there are none."""

from genzoo.testing import laws

test_laws = laws("genzoo-rings")
