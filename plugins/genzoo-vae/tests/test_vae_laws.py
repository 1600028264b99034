"""Every card of the plugin keeps the laws that anybody's must keep."""

from genzoo.testing import laws

test_laws = laws("genzoo-vae")
