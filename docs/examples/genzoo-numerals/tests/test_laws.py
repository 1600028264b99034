"""Every law that applies to the models of this package, each a test of its own."""

from genzoo.testing import laws

test_laws = laws("genzoo-numerals")
