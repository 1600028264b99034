"""The plugin keeps the laws that anybody's must keep."""

from genzoo.testing import laws

test_laws = laws("genzoo-explorer")
