"""Every card of the plugin obeys the laws that any third-party plugin must obey."""

from genzoo.testing import laws

test_laws = laws("genzoo-translate", patch_layers=1)
